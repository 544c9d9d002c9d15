// The dashboard works without this module, which writes times in the viewer's zone, and knows:
//   <section id="x" data-live>           fetched again from this page's URL when something changed
//   <section id="x" data-live="/part">   … from another URL that holds an element with this id
//   <tbody data-stream="/rows">          gets the rows that events bring; data-most: rows to keep
//   <button data-pause>                  stops and starts both
//   <input type=checkbox data-all="ids"> checks all boxes with this name
const CHANGES = document.body.dataset.changes; // the URL of events; none: there are no events
const PAUSE = 'ucam-faas-paused';
const LEAST_MS = 1000; // between two fetches of a page
const RENEW_MS = document.body.dataset.renew * 1000; // where there are no events
const every = (selector, root = document) => [...root.querySelectorAll(selector)];
let paused = sessionStorage.getItem(PAUSE) === 'yes';

// Times
const TIME = {hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'};
const DAY = {day: 'numeric', month: 'short', year: 'numeric', timeZoneName: 'short'};
const exact = new Intl.DateTimeFormat(undefined, {...DAY, ...TIME});
const clock = new Intl.DateTimeFormat(undefined, {...TIME, fractionalSecondDigits: 3});
const relative = new Intl.RelativeTimeFormat(undefined, {numeric: 'always', style: 'narrow'});
const UNITS = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];

function ago(date) {
  const seconds = Math.round((date - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? UNITS[3];
  return relative.format(Math.trunc(seconds / size), unit);
}

function writeTimes(root) {
  for (const time of every('time[datetime]', root)) {
    const date = new Date(time.dateTime);
    if (isNaN(date)) continue;
    const {ago: isAgo, clock: isClock} = time.dataset;
    const text = isAgo === '' ? ago(date) : (isClock === '' ? clock : exact).format(date);
    if (time.textContent !== text) time.textContent = text;
    time.title = exact.format(date);
  }
}

// Renewal in place: nodes that didn't change stay, and with them focus, scroll and selection.
function key(node) {
  return node.nodeType === 1 ? `${node.nodeName}#${node.id || node.dataset.key || ''}` : node.nodeName;
}

function renew(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (key(old) !== key(fresh)) return old.replaceWith(fresh);
  if (old.nodeType !== 1) return void (old.data = fresh.data);
  if (old.contains(document.activeElement) && old.matches('input, select, textarea')) return;
  for (const {name} of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== 'open') old.removeAttribute(name);
  }
  for (const {name, value} of fresh.attributes) old.setAttribute(name, value);
  const known = new Map(every(':scope > [id], :scope > [data-key]', old).map(n => [key(n), n]));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const same = known.get(key(child));
    if (same && same !== next) old.insertBefore(same, next);
    else if (!same && (!next || key(next) !== key(child) || known.has(key(next)))) {
      old.insertBefore(child, next);
      continue;
    }
    const current = same ?? next;
    next = current.nextSibling;
    renew(current, child);
  }
  while (next) [next] = [next.nextSibling, next.remove()];
}

const TYPED = 'select, textarea, input:not([type=checkbox])';

function isHeld(part) { // a person has selected text in it, has a menu open, or is typing in it
  const selection = getSelection();
  return (!selection.isCollapsed && selection.containsNode(part, true))
    || part.querySelector(`details[open].confirm, :is(${TYPED}):focus`) !== null;
}

let isFetching = false, isStale = false, lastFetch = Date.now() - LEAST_MS;
async function renewParts() {
  const parts = every('[data-live][id]');
  if (paused || document.hidden || !parts.length) return void (isStale = parts.length > 0);
  if (isFetching) return void (isStale = true);
  isFetching = true;
  isStale = false;
  try {
    await new Promise(go => setTimeout(go, lastFetch + LEAST_MS - Date.now()));
    lastFetch = Date.now();
    const pages = new Map();
    for (const part of parts) {
      const url = part.dataset.live || location.href;
      if (!pages.has(url)) {
        const answer = await fetch(url, {headers: {'X-Live': '1'}});
        if (!answer.ok) continue;
        pages.set(url, new DOMParser().parseFromString(await answer.text(), 'text/html'));
      }
      const fresh = pages.get(url).getElementById(part.id);
      if (fresh && isHeld(part)) isStale = true;
      else if (fresh) {
        writeTimes(fresh);
        renew(part, document.adoptNode(fresh));
      }
    }
  } catch { // the server is gone; events begin again when it is back
  } finally {
    isFetching = false;
  }
}

// Streams: rows are added at the top, and the oldest go.
const holder = document.createElement('template');

function addRows(list, text) {
  holder.innerHTML = text;
  const rows = holder.content;
  writeTimes(rows);
  if (rows.children.length < 20) for (const row of rows.children) row.classList.add('fresh');
  list.prepend(rows);
  while (list.children.length > Number(list.dataset.most)) list.lastElementChild.remove();
}

// Events: only while the page is seen. The stream goes on from the last event that came.
const MOST_WAITING = 3; // of 100 rows each: older ones would go at once
let events = null, last = '', waiting = [], missed = 0, moved = 0;
const list = document.querySelector('[data-stream]');
const note = document.querySelector('[data-waiting]');

function takeRows(message) {
  const {rows, count} = JSON.parse(message.data);
  waiting = [rows, ...waiting.slice(0, MOST_WAITING - 1)];
  missed += count;
  showRows();
}

function showRows() {
  // It holds still under a pointer that moves, and while a link in it has the focus.
  const held = Date.now() - moved < 1500 || list.querySelector(':focus') || isHeld(list);
  if (waiting.length && !held && !paused) {
    addRows(list, waiting.join(''));
    waiting = [];
    missed = 0;
  }
  const text = missed ? `${missed.toLocaleString()} newer, held while you select or point` : '';
  if (note && note.textContent !== text) note.textContent = text;
}

function listen() {
  const url = list?.dataset.stream ?? CHANGES;
  const wanted = url && !paused && !document.hidden;
  if (!wanted && events) events = void events.close();
  if (!wanted || events) return;
  events = new EventSource(last ? `${url}${url.includes('?') ? '&' : '?'}after=${last}` : url);
  events.addEventListener('rows', event => { last = event.lastEventId; takeRows(event); });
  events.addEventListener('change', event => { last = event.lastEventId; renewParts(); });
}

for (const button of every('[data-pause]')) {
  button.hidden = !list && !document.querySelector('[data-live]');
  const write = () => {
    button.setAttribute('aria-pressed', paused);
    button.textContent = paused ? 'Updates are paused' : 'Pause updates';
  };
  write();
  button.addEventListener('click', () => {
    paused = !paused;
    sessionStorage.setItem(PAUSE, paused ? 'yes' : 'no');
    write();
    listen();
    if (!paused) renewParts();
  });
}

document.addEventListener('visibilitychange', () => { listen(); if (isStale) renewParts(); });
document.addEventListener('selectionchange', () => { if (missed) showRows(); });
list?.addEventListener('pointermove', () => { moved = Date.now(); });
setInterval(() => {
  writeTimes(document);
  if (events?.readyState === EventSource.CLOSED) events = null; // refused: too many pages follow
  const isBusy = document.querySelector('[data-busy]'); // with work that brings no event at its end
  if (isStale || isBusy || (!events && Date.now() - lastFetch >= RENEW_MS)) renewParts();
  listen();
}, 2000);

// Keyboard: arrows go from row to row. Pointer and keyboard: a box that checks all of its kind.
document.addEventListener('keydown', event => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  const row = step && event.target.closest?.('tbody tr');
  if (!row || event.altKey || event.ctrlKey || event.metaKey || event.target.matches(TYPED)) return;
  const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  const targets = next ? every('a, button, input', next) : [];
  const column = every('a, button, input', row).indexOf(event.target);
  if (targets.length) event.preventDefault();
  targets[Math.min(column, targets.length - 1)]?.focus();
});

document.addEventListener('change', ({target}) => {
  const boxes = target.dataset?.all ? every(`input[name="${target.dataset.all}"]`) : [];
  for (const box of boxes) box.checked = target.checked;
});

writeTimes(document);
listen();
