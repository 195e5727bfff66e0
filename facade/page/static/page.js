// The page's own code: no library, nothing inline. What comes from the server becomes text and
// nothing else. Rows are kept by name; only those in view have elements.

const $ = (id) => document.getElementById(id);

// ---- What is known ----

let rows = new Map(); // by name, as the server told them
let order = []; // of the rows that the filter lets through
let clock = 0; // the server's, less this browser's, in ms
let revision = '';
let left = 0; // rows that the server has and does not tell
let down = ''; // why the server's own figures are old
let heard = 0; // when the server was heard of last, by this browser's monotonic clock
let known = false; // a whole state has come
const sorting = { by: 'oldest', down: true };

const now = () => Date.now() + clock;
const later = (a, b) => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0); // of two revisions

// ---- Forms ----

function age(since) {
  if (!since) return '–';
  const s = Math.max(0, Math.floor((now() - since) / 1000));
  if (s < 60) return s + 's';
  if (s < 3600) return Math.floor(s / 60) + 'm ' + (s % 60) + 's';
  if (s < 86400) return Math.floor(s / 3600) + 'h ' + Math.floor(s % 3600 / 60) + 'm';
  return Math.floor(s / 86400) + 'd ' + Math.floor(s % 86400 / 3600) + 'h';
}

const rest = (ends) => (ends ? Math.max(0, Math.ceil((ends - now()) / 1000)) + 's' : '–');
const number = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, ' ');
const count = (n, one, many) => number(n) + ' ' + (n === 1 ? one : many);
const time = (ms) => (ms ? new Date(ms).toLocaleTimeString([], { hour12: false }) : '');
const moment = (ms) => (ms ? new Date(ms).toLocaleString([], { hour12: false }) : '–');
const who = (w) => w.label || 'session ' + w.session;

function bytes(n) {
  const exact = number(n) + ' B';
  for (const [unit, size] of [['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 1024]]) {
    if (n >= size) return (n / size).toFixed(1) + ' ' + unit + ' (' + exact + ')';
  }
  return exact;
}

// silent reports whether a holder has missed more heartbeats than a busy network explains.
const silent = (h) => Boolean(h && h.heard && h.lease > h.heard && now() - h.heard > 0.6 * (h.lease - h.heard));

// text sets what an element says, if it says something else.
function text(el, value) {
  if (el.textContent !== value) el.textContent = value;
}

function make(tag, cls, value) {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  if (value !== undefined) el.textContent = value;
  return el;
}

// ---- The stream ----

let source = null;
let retry = 0; // how often in a row it failed
let retrying = 0;
let coming = null; // rows of a state that is being told

function connect() {
  clearTimeout(retrying);
  if (source) source.close();
  coming = null;
  heard = performance.now();
  const es = source = new EventSource('events');
  const on = (name, f) => es.addEventListener(name, (e) => {
    if (es !== source) return;
    heard = performance.now();
    retry = 0;
    f(JSON.parse(e.data));
    status();
  });
  on('beat', (m) => { clock = m.now - Date.now(); });
  on('state', (m) => {
    if (m.first) coming = new Map();
    for (const r of m.rows) coming.set(r.name, prepared(r));
    if (!m.last) return;
    rows = coming;
    coming = null;
    known = m.revision !== '0';
    figures(m);
    refreshLock();
  });
  on('change', (m) => {
    let mine = false;
    for (const r of m.rows) {
      rows.set(r.name, prepared(r));
      flashing.add(r.name);
      mine ||= r.name === shown;
    }
    for (const name of m.gone || []) {
      rows.delete(name);
      mine ||= name === shown;
    }
    known ||= m.revision !== '0';
    figures(m);
    if (mine) refreshLock();
  });
  on('end', () => { disconnect(); later1s(); });
  es.onerror = () => {
    if (es !== source) return;
    if (es.readyState === EventSource.CLOSED) {
      disconnect();
      why();
      later1s();
    }
    status();
  };
}

function disconnect() {
  if (source) source.close();
  source = null;
}

function later1s() {
  clearTimeout(retrying);
  retrying = setTimeout(connect, Math.min(1000 * 2 ** retry++, 10000));
}

// why finds out why there is no stream: an EventSource does not say.
async function why() {
  try {
    const answer = await fetch('api/locks');
    if (!answer.ok) refused = (await answer.json()).error || answer.statusText;
  } catch { /* the server is not there, which is seen */ }
  status();
}

let refused = '';

function figures(m) {
  ({ revision, left, down } = m);
  refused = '';
  arrange();
}

// prepared adds to a row what it is sorted and found by.
function prepared(r) {
  const h = r.holder;
  r.who = h ? who(h) : '';
  r.find = (r.name + '\n' + (h ? h.label + '\n' + h.identity + '\n' + h.session : '')).toLowerCase();
  return r;
}

// status says whether what is shown is so now.
function status() {
  const quiet = performance.now() - heard > 6000;
  const open = source && source.readyState === EventSource.OPEN && !quiet;
  let state = 'live', say = 'live', notice = '';
  if (!open) {
    state = known ? 'stale' : 'connecting';
    say = known ? 'reconnecting…' : 'connecting…';
    if (known) notice = 'The server is not heard of. The figures are as of ' + lastLive + '.';
    if (refused) notice = 'The server refuses: ' + refused;
  } else if (down || !known) {
    state = known ? 'stale' : 'connecting';
    say = known ? 'stale' : 'connecting…';
    if (known) notice = 'Not current: ' + down + '. The figures are as of ' + lastLive + '.';
  } else {
    lastLive = time(now());
    if (left > 0) notice = count(left, 'more lock is', 'more locks are') + ' in use than this page shows. “dlm status” lists all.';
  }
  const el = $('live');
  if (el.dataset.state !== state) {
    if (el.dataset.state !== 'connecting' || state !== 'live') announce(state === 'live' ? 'The figures are live again.' : notice);
    el.dataset.state = state;
    document.body.classList.toggle('stale', state === 'stale');
  }
  text($('live-text'), say);
  text($('notice'), notice);
  $('notice').hidden = !notice;
}

let lastLive = '';

// announce tells those who hear the page.
function announce(what) { text($('announce'), what); }

// ---- The overview ----

const keys = {
  name: (r) => r.name,
  who: (r) => r.who.toLowerCase(),
  token: (r) => (r.holder ? Number(r.holder.token) : 0),
  since: (r) => (r.holder ? -r.holder.since : -Infinity), // the longest is the largest
  waiting: (r) => r.waiting,
  oldest: (r) => (r.waiting ? -r.oldest : -Infinity),
  staged: (r) => r.staged,
};

// arrange works out which rows are shown, and in which order.
function arrange() {
  const asked = $('filter').value.trim().toLowerCase();
  let held = 0, waiting = 0, oldest = 0;
  order = [];
  for (const r of rows.values()) {
    if (r.holder) held++;
    waiting += r.waiting;
    if (r.waiting && r.oldest && (!oldest || r.oldest < oldest)) oldest = r.oldest;
    if (!asked || r.find.includes(asked)) order.push(r);
  }
  const key = keys[sorting.by], sign = sorting.down ? -1 : 1;
  for (const r of order) r.key = key(r);
  order.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0) ||
    keys.since(b) - keys.since(a) || (a.name < b.name ? -1 : 1));
  order.forEach((r, i) => { r.at = i; });
  if (known) {
    text($('held'), number(held));
    text($('waiting'), number(waiting));
    summary.oldest = oldest;
    text($('revision'), revision);
    text($('count'), asked ? number(order.length) + ' of ' + count(rows.size, 'lock', 'locks') : count(rows.size, 'lock', 'locks'));
  }
  $('grid').setAttribute('aria-rowcount', order.length + 1);
  $('none').hidden = order.length > 0 || !known;
  $('grid').hidden = order.length === 0 && known;
  text($('none'), rows.size ? 'No lock in use matches the filter.' : 'No lock is held, and nobody waits for one.');
  draw();
}

const summary = { oldest: 0 };
const elements = new Map(); // of rows, by name
const flashing = new Set(); // names of rows that have just changed
let active = ''; // the row that the Tab key leads to
let drawing = 0;

function draw() {
  if (!drawing) drawing = requestAnimationFrame(drawNow);
}

let pitch = 0; // from one row to the next, in pixels

function measure() {
  const root = getComputedStyle(document.documentElement);
  pitch = parseFloat(root.getPropertyValue('--row')) * parseFloat(root.fontSize);
}

function drawNow() {
  drawing = 0;
  text($('oldest'), age(summary.oldest));
  if ($('overview').hidden) return;
  const box = $('scroll'), holder = $('rows');
  const height = order.length * pitch;
  if (holder.dataset.height !== String(height)) {
    holder.dataset.height = height;
    holder.style.height = height + 'px';
  }
  const first = Math.max(0, Math.floor(box.scrollTop / pitch) - 4);
  const last = Math.min(order.length, Math.ceil((box.scrollTop + box.clientHeight) / pitch) + 4);
  const wanted = order.slice(first, last);
  const focused = holder.contains(document.activeElement);
  const current = rows.get(active);
  const listed = current && order[current.at] === current;
  if (focused && listed && current.at < first) wanted.unshift(current); // it keeps the focus out of sight
  if (focused && listed && current.at >= last) wanted.push(current);
  if (!listed && wanted.length) active = wanted[Math.min(wanted.length - 1, 4 * (first > 0))].name;
  else if (!focused && wanted.length && (current.at < first || current.at >= last)) active = wanted[Math.min(wanted.length - 1, 4 * (first > 0))].name;
  const names = new Set(wanted.map((r) => r.name));
  const spare = [];
  for (const [name, el] of elements) {
    if (!names.has(name)) {
      elements.delete(name);
      spare.push(el);
    }
  }
  let at = holder.firstChild;
  for (const r of wanted) {
    let el = elements.get(r.name);
    if (!el) {
      el = spare.pop() || element();
      el.row = null;
      el.classList.remove('changed');
      elements.set(r.name, el);
    }
    fill(el, r);
    if (el === at) at = at.nextSibling;
    else holder.insertBefore(el, at);
  }
  for (const el of spare) el.remove();
  flashing.clear();
  if (focused && !holder.contains(document.activeElement)) {
    const el = elements.get(active);
    (el ? el.link : $('filter')).focus({ preventScroll: true });
  }
}

const cells = ['name', 'who', 'token', 'age', 'lease', 'heard', 'waiters', 'oldest', 'staged'];
const captions = { age: 'held for', lease: 'lease left', heard: 'heard of', waiters: 'waiters', oldest: 'oldest wait', staged: 'staged' };

// element makes what a row is shown by.
function element() {
  const el = make('div', 'row');
  el.setAttribute('role', 'row');
  for (const cls of cells) {
    const cell = make('div', cls);
    cell.setAttribute('role', 'gridcell');
    el.append(cell);
    if (cls === 'name') {
      cell.append(el.link = make('a'));
    } else if (cls === 'who') {
      cell.append(el.label = make('bdi'), el.identity = make('bdi', 'identity'));
    } else {
      if (captions[cls]) {
        const cap = make('span', 'cap', captions[cls]);
        cap.setAttribute('aria-hidden', 'true');
        cell.append(cap);
      }
      cell.append(el[cls] = make('span'));
    }
  }
  return el;
}

// fill has an element show a row: what has changed of it.
function fill(el, r) {
  const h = r.holder;
  if (el.at !== r.at || el.pitch !== pitch) {
    el.at = r.at;
    el.pitch = pitch;
    el.style.transform = 'translateY(' + r.at * pitch + 'px)';
    el.setAttribute('aria-rowindex', r.at + 2);
  }
  el.link.tabIndex = r.name === active ? 0 : -1;
  if (el.row !== r) {
    if (el.row && flashing.has(r.name)) {
      el.classList.remove('changed');
      void el.offsetWidth; // so that it begins anew
      el.classList.add('changed');
    }
    el.row = r;
    el.dataset.lock = r.name;
    el.dataset.revision = r.revision;
    text(el.link, r.name);
    el.link.title = r.name;
    el.link.href = '#/lock/' + r.name;
    text(el.label, h ? r.who : 'nobody');
    el.label.className = h ? '' : 'nobody';
    el.label.title = h ? r.who + (h.identity ? ', ' + h.identity : '') : '';
    text(el.identity, h ? h.identity : '');
    text(el.token, h ? h.token : '–');
    text(el.waiters, number(r.waiting));
    text(el.staged, number(r.staged));
    el.classList.toggle('waits', r.waiting > 0);
  }
  text(el.age, h ? age(h.since) : '–');
  text(el.lease, h ? rest(h.lease) : '–');
  text(el.heard, h && h.heard ? age(h.heard) : '–');
  el.heard.className = silent(h) ? 'silent' : '';
  text(el.oldest, r.waiting ? age(r.oldest) : '–');
}

// sortBy sorts by a column; by the same again: the other way round.
function sortBy(column) {
  sorting.down = sorting.by === column ? !sorting.down : column !== 'name' && column !== 'who';
  sorting.by = column;
  showSorting();
  $('scroll').scrollTop = 0;
  arrange();
}

function showSorting() {
  for (const button of document.querySelectorAll('.head button')) {
    const header = button.parentElement;
    if (button.dataset.sort === sorting.by) header.setAttribute('aria-sort', sorting.down ? 'descending' : 'ascending');
    else header.removeAttribute('aria-sort');
  }
  $('sort').value = sorting.by;
}

// moveTo has the keyboard go to another row.
function moveTo(index) {
  const r = order[Math.max(0, Math.min(order.length - 1, index))];
  if (!r) return;
  active = r.name;
  const box = $('scroll'), top = r.at * pitch;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + pitch > box.scrollTop + box.clientHeight) box.scrollTop = top + pitch - box.clientHeight;
  cancelAnimationFrame(drawing);
  drawNow();
  elements.get(active).link.focus({ preventScroll: true });
}

// fetched is the answer to a question, or an error with the server's words.
async function fetched(url, options) {
  let answer;
  try {
    answer = await fetch(url, { signal: AbortSignal.timeout(12000), ...options });
  } catch (e) {
    throw new Error(e.name === 'AbortError' ? 'given up' : 'The server cannot be reached.');
  }
  let form = {};
  try {
    form = await answer.json();
  } catch { /* then the status has to do */ }
  if (answer.ok) return form;
  const fault = new Error(form.error || 'The server answers ' + answer.status + '.');
  fault.status = answer.status;
  throw fault;
}

// look asks again for the rows in view: what is staged, and when a holder was heard of, are nobody's
// change.
async function look() {
  if (document.hidden || $('overview').hidden || !source) return;
  let room = 8000; // of an address, in bytes
  const names = [...elements.keys()].filter((name) => (room -= name.length + 20) > 0);
  if (!names.length) return;
  try {
    const m = await fetched('api/locks?' + new URLSearchParams(names.map((name) => ['name', name])));
    for (const r of m.rows) {
      const old = rows.get(r.name);
      if (old && later(r.revision, old.revision) >= 0) rows.set(r.name, prepared(r));
    }
    arrange();
  } catch { /* the stream says what is the matter */ }
}

// ---- A lock's page ----

let shown = ''; // the lock; empty: the overview
let lock = null; // what is known of it
let filesOf = ''; // as of which token the files were read
let fetching = null;
let due = 0;

function route() {
  const hash = location.hash;
  let name = '';
  if (hash.startsWith('#/lock/')) {
    try {
      name = decodeURIComponent(hash.slice(7));
    } catch {
      name = hash.slice(7);
    }
  }
  const before = shown;
  shown = name;
  lock = null;
  filesOf = '';
  if ($('dialog').open) $('dialog').close();
  $('overview').hidden = name !== '';
  $('lock').hidden = name === '';
  document.title = (name ? name + ' · ' : 'Locks · ') + 'dlm';
  if (name) {
    text($('lock-name'), name);
    $('lock-fault').hidden = true;
    $('lock').querySelector('.columns').hidden = true;
    refreshLock();
    $('lock-name').focus({ preventScroll: true });
  } else {
    arrange();
    if (before) { // back where one came from
      active = before;
      const r = rows.get(before);
      cancelAnimationFrame(drawing);
      drawNow();
      if (r && order[r.at] === r) moveTo(r.at);
      else $('main').focus({ preventScroll: true });
    }
  }
}

// refreshLock reads the lock again, soon and not too often.
function refreshLock() {
  if (!shown || due) return;
  const since = performance.now() - (refreshLock.last || 0);
  due = setTimeout(() => {
    due = 0;
    refreshLock.last = performance.now();
    readLock();
  }, Math.max(0, 150 - since));
}

async function readLock() {
  const name = shown;
  if (!name) return;
  if (fetching) fetching.abort();
  const mine = fetching = new AbortController();
  try {
    const m = await fetched('api/lock?' + new URLSearchParams({ name }), { signal: mine.signal });
    if (shown !== name || mine !== fetching) return;
    lock = m;
    clock = m.now - Date.now();
    $('lock-fault').hidden = true;
    $('lock').querySelector('.columns').hidden = false;
    drawLock();
    const token = m.holder ? m.holder.token : 'free ' + (m.events[0] ? m.events[0].revision : '');
    if (filesOf !== token) {
      filesOf = token;
      readFiles(name);
    }
  } catch (e) {
    if (shown !== name || mine !== fetching) return;
    text($('lock-fault'), e.message);
    $('lock-fault').hidden = false;
    if (e.status === 403 || e.status === 401 || e.status === 400) $('lock').querySelector('.columns').hidden = true;
  }
}

function pairs(list, entries) {
  const same = list.children.length === 2 * entries.length;
  if (!same) list.replaceChildren(...entries.flatMap(() => { const dd = make('dd'); dd.append(make('bdi')); return [make('dt'), dd]; }));
  entries.forEach(([name, value, cls], i) => {
    text(list.children[2 * i], name);
    text(list.children[2 * i + 1].firstChild, value);
    list.children[2 * i + 1].className = cls || '';
  });
}

const stagedText = (n) => (n ? count(n, 'record', 'records') + ', not readable before released' : 'nothing');

function holderEntries(h, staged) {
  const entries = [['Who', who(h)]];
  if (h.identity) entries.push(['Identity', h.identity]);
  entries.push(['Session', h.session + ', request ' + h.request], ['Token', h.token], ['Held for', age(h.since) + ', since ' + moment(h.since)]);
  if (h.lease) entries.push(['Lease left', rest(h.lease)]);
  if (h.heard) entries.push(['Heard of', age(h.heard) + ' ago', silent(h) ? 'silent' : '']);
  entries.push(['Staged', stagedText(staged)]);
  return entries;
}

// drawLock shows what is known of the lock. Each second it is called for the ages alone.
function drawLock() {
  if (!lock) return;
  const h = lock.holder;
  text($('free'), h ? '' : lock.waiting ? 'Nobody: the first who waits is next.' : 'Nobody holds this lock.');
  $('free').hidden = Boolean(h);
  $('holder').hidden = !h;
  if (h) pairs($('holder'), holderEntries(h, lock.staged));
  const had = document.activeElement === $('evict');
  $('evict').hidden = !(h && lock.mayEvict);
  if (had && $('evict').hidden) $('lock-name').focus({ preventScroll: true });
  text($('evict-not'), h && !lock.mayEvict ? 'You may not evict the holder of this lock.' : '');
  text($('undone'), lock.lastUndone ? 'Last section undone: ' + lock.lastUndone : '');
  $('undone').hidden = !lock.lastUndone;

  text($('queue-count'), number(lock.waiting));
  const queue = $('queue');
  while (queue.children.length > lock.queue.length) queue.lastChild.remove();
  while (queue.children.length < lock.queue.length) {
    const li = make('li');
    li.append(make('bdi'), ' ', make('bdi', 'quiet'), ' ', make('span', 'quiet'));
    queue.append(li);
  }
  lock.queue.forEach((w, i) => {
    const li = queue.children[i];
    text(li.children[0], who(w));
    text(li.children[1], w.identity);
    text(li.children[2], 'for ' + age(w.since) + ', session ' + w.session);
  });
  const more = lock.waiting - lock.queue.length;
  text($('queue-more'), more > 0 ? 'and ' + number(more) + ' more' : lock.waiting ? '' : 'Nobody waits.');

  const events = $('events').tBodies[0];
  const mark = lock.events.length ? lock.events[0].revision + ' ' + lock.events.length : '';
  if (events.dataset.mark !== shown + ' ' + mark) {
    events.dataset.mark = shown + ' ' + mark;
    events.replaceChildren(...lock.events.map((e) => tableRow([
      ['when', time(e.at)], [e.type === 'lost' ? 'lost' : '', e.type], ['', (e.label || 'session ' + e.session) + (e.identity ? ', ' + e.identity : '')],
      ['number', e.token === '0' ? '–' : e.token], ['number', e.revision], ['', e.reason]])));
  }
  $('events').parentElement.hidden = !lock.events.length;
  text($('events-since'), (lock.events.length ? 'Earlier than ' : 'Nothing since ') + moment(lock.eventsSince) +
    (lock.events.length ? ' nothing was kept.' : ', when this server began to keep what happens.'));
  drawDialog();
}

function tableRow(values) {
  const tr = make('tr');
  for (const [cls, value] of values) {
    const td = make('td', cls);
    td.append(make('bdi', '', value));
    tr.append(td);
  }
  return tr;
}

async function readFiles(name) {
  let say = 'This lock has no files.', files = [];
  if (!lock.mayRead) {
    say = 'You may not read the files of this lock.';
  } else {
    try {
      const m = await fetched('api/files?' + new URLSearchParams({ name }));
      files = m.files;
      if (files.length) say = m.next ? 'There are more files; “dlm ls” lists all.' : '';
    } catch (e) {
      say = e.message;
    }
  }
  if (shown !== name) return;
  $('files').tBodies[0].replaceChildren(...files.map((f) => tableRow([['', f.name], ['number', bytes(f.size)], ['number', f.token]])));
  $('files').parentElement.hidden = !files.length;
  text($('files-none'), say);
}

// ---- Evicting ----

let target = null; // whom the dialog is about
let evicting = false;

function openDialog() {
  if (!lock || !lock.holder) return;
  target = { lock: shown, token: lock.holder.token, holder: lock.holder };
  evicting = false;
  text($('dialog-title'), 'Evict the holder of ' + shown);
  text($('do-evict'), 'Evict token ' + target.token);
  text($('dialog-fault'), '');
  $('reason').value = '';
  $('confirm').checked = false;
  $('do-evict').disabled = false;
  drawDialog();
  $('dialog').showModal();
  $('reason').focus();
}

// drawDialog keeps the dialog true while it is open.
function drawDialog() {
  if (!target || target.lock !== shown || !lock) return;
  const holds = lock.holder && lock.holder.token === target.token;
  if (holds) {
    target.holder = lock.holder;
    target.staged = lock.staged;
  }
  pairs($('dialog-holder'), holderEntries(target.holder, target.staged || 0));
  text($('confirm-text'), target.staged
    ? 'Undo its ' + count(target.staged, 'staged record', 'staged records') + ', which nobody will ever read, and take the lock away'
    : 'Take the lock away. Nothing is staged that would be undone');
  if (!holds && $('dialog').open && !evicting) gone();
}

function gone() {
  text($('dialog-fault'), 'Token ' + target.token + ' does not hold the lock any more. Nobody is evicted.');
  $('do-evict').disabled = true;
}

async function submit(e) {
  e.preventDefault();
  if (evicting || $('do-evict').disabled) return;
  const reason = $('reason').value.trim();
  $('reason').setAttribute('aria-invalid', String(!reason));
  if (!reason) {
    text($('dialog-fault'), 'Give a reason.');
    $('reason').focus();
    return;
  }
  if (!$('confirm').checked) {
    text($('dialog-fault'), 'Confirm what will be done.');
    $('confirm').focus();
    return;
  }
  text($('dialog-fault'), '');
  evicting = true;
  const asked = target; // the dialog may be closed, and be about somebody else, before the answer comes
  try {
    const m = await fetched('api/evict', {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ lock: asked.lock, token: asked.token, reason }),
    });
    announce('Evicted ' + who(m.evicted) + ', token ' + m.evicted.token + ', from ' + asked.lock + '.');
    if (target === asked) $('dialog').close();
  } catch (fault) {
    if (target !== asked) announce('Token ' + asked.token + ' of ' + asked.lock + ' was not evicted: ' + fault.message);
    else if (fault.status === 409) gone();
    else text($('dialog-fault'), fault.message);
  } finally {
    if (target === asked) evicting = false;
  }
  refreshLock();
}

// ---- What people do ----

function start() {
  measure();
  showSorting();
  addEventListener('hashchange', route);
  addEventListener('resize', () => { measure(); draw(); });
  $('scroll').addEventListener('scroll', draw, { passive: true });
  for (const button of document.querySelectorAll('.head button')) button.addEventListener('click', () => sortBy(button.dataset.sort));
  $('sort').addEventListener('change', () => { sorting.by = ''; sortBy($('sort').value); });
  $('tools').addEventListener('submit', (e) => e.preventDefault());
  let saying = 0;
  $('filter').addEventListener('input', () => {
    $('scroll').scrollTop = 0;
    arrange();
    clearTimeout(saying);
    saying = setTimeout(() => announce($('count').textContent), 700);
  });
  $('rows').addEventListener('focusin', (e) => {
    const el = e.target.closest('.row');
    if (el && el.row) active = el.row.name;
    draw();
  });
  $('rows').addEventListener('keydown', (e) => {
    const r = rows.get(active);
    if (!r || e.altKey || e.ctrlKey || e.metaKey) return;
    const page = Math.max(1, Math.floor($('scroll').clientHeight / pitch) - 1);
    const to = { ArrowDown: r.at + 1, ArrowUp: r.at - 1, PageDown: r.at + page, PageUp: r.at - page, Home: 0, End: order.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    moveTo(to);
  });
  addEventListener('keydown', (e) => {
    if (e.altKey || e.ctrlKey || e.metaKey || $('dialog').open) return;
    if (e.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName) && !shown) {
      e.preventDefault();
      $('filter').focus();
    } else if (e.key === 'Escape' && shown) {
      location.hash = '#/';
    }
  });
  document.querySelector('.skip').addEventListener('click', (e) => {
    e.preventDefault();
    $('main').focus();
  });
  $('evict').addEventListener('click', openDialog);
  $('cancel').addEventListener('click', () => $('dialog').close());
  $('dialog').addEventListener('close', () => {
    if ($('dialog').open) return; // it was opened again before this was told
    target = null;
    ($('evict').hidden ? $('lock-name') : $('evict')).focus({ preventScroll: true });
  });
  $('evict-form').addEventListener('submit', submit);
  $('evict-form').addEventListener('input', () => {
    if (!$('do-evict').disabled) text($('dialog-fault'), '');
  });

  // A page that nobody looks at costs the server nothing, and a browser has few connections.
  let hiding = 0;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(() => { disconnect(); clearTimeout(retrying); }, 15000);
    else if (!source) connect();
  });
  setInterval(() => {
    if (source && performance.now() - heard > 8000) connect();
    status();
    draw();
    drawLock();
  }, 1000);
  setInterval(() => {
    look();
    refreshLock();
  }, 2000);
  connect();
  route();
}

start();
