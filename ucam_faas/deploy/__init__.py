"""From code and configuration to the cloud: layers, plan, documents and checks."""
