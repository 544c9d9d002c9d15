// How the search orders its results: guides and reference pages before the records of how they came to be.
// The figures are Sphinx's own; only `score` is ours.
const records = /^(decisions\/|benchmarks\/|changes$|fidelity$|reliability$)/;

var Scorer = {
  score: ([page, , , , score]) => (records.test(page) ? score - 100 : score),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
