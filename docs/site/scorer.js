// How the search orders its results: pages whose title has all words first, then guides and reference pages, then
// examples, then the records of how they came to be. The figures are Sphinx's own; only `score` is ours.
const records = /^(decisions\/|benchmarks\/|changes$|fidelity$|reliability$)/;
const examples = /^(example_tasks|terraform\/examples)\//;
const words = (new URLSearchParams(location.search).get("q") ?? "").toLowerCase().split(/\W+/).filter(Boolean);

function isAbout(title) {
  return words.length > 0 && words.every((word) => title.toLowerCase().includes(word));
}

var Scorer = {
  score: ([page, title, anchor, , score]) => {
    if (records.test(page)) return score - 100;
    if (examples.test(page)) return score - 50;
    return !anchor && isAbout(title) ? score + 20 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
