"""Jobs in Firestore: a document a job, over Google's REST API."""
