package life

// put is a chunk that a fold puts.
type put struct {
	at   position
	data chunk
}

// applied is what becomes of a head by the operations of sections.
type applied struct {
	head    head
	puts    []put
	garbage garbage
	soils   bool // garbage is put

	pending []unit // appended, and not put yet
	last    chunk  // the last one, as it was read
	open    hole
}

// apply computes what a fold of sections puts: of several lives only the last one's chunks.
func (m *model) apply(h head, sections []section, last chunk) applied {
	a := applied{head: h, last: last, open: m.open}
	for _, x := range sections {
		for _, op := range x.operations {
			a.operate(op, x.version)
		}
	}
	if a.head.exists() {
		a.flush()
	}
	return a
}

func (a *applied) operate(op operation, by version) {
	h := &a.head
	switch op.kind {
	case 'a':
		if !h.exists() {
			a.begin(by)
		}
		a.add(op)
	case 'r':
		a.end()
		a.begin(by)
		a.add(op)
	case 'd':
		if h.exists() {
			a.end()
			h.gone, h.life = true, version{}
		}
	case 'c':
		if h.exists() {
			a.flush()
			h.start = min(h.size, max(h.start, h.base+position(op.units)))
			a.soil(h.base, h.start)
		}
	}
}

func (a *applied) add(op operation) {
	for range op.units {
		a.pending = append(a.pending, op.unit)
	}
}

// begin begins a life where the one before has ended.
func (a *applied) begin(by version) {
	a.head.made = max(a.head.made, 1) // that there is one: its revision comes with the transaction
	a.head.gone, a.head.life = false, by
}

// end ends a life. What was not put of it yet never is, and is counted: where a life begins depends
// on the operations alone, and not on which of them one fold takes.
//
//	base = start = last = size; put garbage{base}
func (a *applied) end() {
	h := &a.head
	if !h.exists() {
		return
	}
	if a.open != unputIsNotCounted {
		h.size += position(len(a.pending))
	}
	a.pending, a.puts = nil, nil
	a.soil(h.size, h.size)
	if a.open == positionsComeBack {
		h.size = 0
	}
	h.base, h.start, h.last = h.size, h.size, h.size
}

func (a *applied) soil(base, upto position) {
	a.garbage.base, a.garbage.upto = max(a.garbage.base, base), max(a.garbage.upto, upto)
	a.soils = true
}

// flush puts what was appended: with the last chunk, if all of it has room there, or else in chunks
// of its own.
func (a *applied) flush() {
	h := &a.head
	if len(a.pending) == 0 {
		return
	}
	at, data := h.size, a.pending
	if used := int(h.size - h.last); used > 0 && used+len(data) <= chunked {
		before := a.last
		for _, p := range a.puts {
			if p.at == h.last {
				before = p.data
			}
		}
		at, data = h.last, append(append([]unit{}, before[:used]...), data...)
	}
	h.size = at + position(len(data))
	for i := 0; i < len(data); i += chunked {
		p := put{at: at + position(i)}
		copy(p.data[:], data[i:min(i+chunked, len(data))])
		a.puts = append(a.puts, p)
		h.last = p.at
	}
	a.pending = nil
}
