package wire

import (
	"fmt"
	"sync"

	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Codec decodes requests, after a look at them, and encodes answers as gRPC's own codec does. The
// zero Codec decodes any number of large ones at once.
type Codec struct {
	large chan struct{} // has one for each that is being decoded
}

// largeAtOnce is how many requests of more than a megabyte are decoded at once: each is there twice
// then, and a third time in what has come of it.
const largeAtOnce = 2

// New returns a codec for a server.
func New() Codec { return Codec{make(chan struct{}, largeAtOnce)} }

// own is gRPC's own codec.
func own() encoding.CodecV2 { return encoding.GetCodecV2(encodingproto.Name) }

// Name is that of the encoding.
func (Codec) Name() string { return encodingproto.Name }

// Sized is a message whose length, encoded and without gRPC's own prefix, somebody wants to know.
type Sized struct {
	Message any
	Bytes   int
}

// Shared is an answer that many are sent, and that is encoded once for all of them. Nobody changes
// it once it was sent.
type Shared struct {
	Message proto.Message

	once    sync.Once
	encoded []byte
	err     error
}

func (s *Shared) marshal() (mem.BufferSlice, error) {
	s.once.Do(func() { s.encoded, s.err = proto.Marshal(s.Message) })
	return mem.BufferSlice{mem.SliceBuffer(s.encoded)}, s.err
}

// pooled is how large gRPC's buffers are below the largest, which have 1 MiB. What is larger would
// lie in one of those for as long as its client does not read it.
const pooled = 32 << 10

func marshal(m proto.Message) (mem.BufferSlice, error) {
	if proto.Size(m) <= pooled {
		return own().Marshal(m)
	}
	b, err := proto.Marshal(m)
	return mem.BufferSlice{mem.SliceBuffer(b)}, err
}

// Marshal encodes an answer.
func (Codec) Marshal(v any) (data mem.BufferSlice, err error) {
	sized, is := v.(*Sized)
	if is {
		v = sized.Message
	}
	switch m := v.(type) {
	case *Shared:
		data, err = m.marshal()
	case proto.Message:
		data, err = marshal(m)
	default:
		data, err = own().Marshal(v)
	}
	if is {
		sized.Bytes = data.Len()
	}
	return data, err
}

// Unmarshal decodes a request. One that is not to be decoded, or cannot be, is no error: see Flaw.
func (c Codec) Unmarshal(data mem.BufferSlice, v any) error {
	if sized, is := v.(*Sized); is {
		sized.Bytes, v = data.Len(), sized.Message
	}
	m, is := v.(proto.Message)
	if !is {
		return own().Unmarshal(data, v)
	}
	if c.large != nil && data.Len() > 1<<20 {
		c.large <- struct{}{}
		defer func() { <-c.large }()
	}
	buf := data.MaterializeToBuffer(mem.DefaultBufferPool())
	defer buf.Free()
	return decode(buf.ReadOnlyData(), m)
}

func decode(b []byte, m proto.Message) error {
	if err := look(b, m.ProtoReflect().Descriptor()); err != nil {
		mark(b, m, tooLarge, err)
		return nil
	}
	if err := proto.Unmarshal(b, m); err != nil {
		mark(b, m, malformed, err)
	}
	return nil
}

// The kinds of flaws, and the last fields but one and two that there can be, under which they
// stand. No message has those; a client that sends them is refused for what it says itself.
const (
	malformed protowire.Number = protowire.MaxValidNumber - 2
	tooLarge  protowire.Number = protowire.MaxValidNumber - 1
)

// mark makes m a message that says what is wrong with it. The number of a multiplexed call stays.
func mark(b []byte, m proto.Message, kind protowire.Number, why error) {
	proto.Reset(m)
	r := m.ProtoReflect()
	if call := r.Descriptor().Fields().ByName("call"); call != nil && call.Kind() == protoreflect.Uint64Kind {
		if n, ok := number(b, call.Number()); ok {
			r.Set(call, protoreflect.ValueOfUint64(n))
		}
	}
	r.SetUnknown(protowire.AppendString(protowire.AppendTag(nil, kind, protowire.BytesType), why.Error()))
}

// number finds the number that a message has in a field, in front of what is malformed.
func number(b []byte, field protowire.Number) (n uint64, found bool) {
	for len(b) > 0 {
		num, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return n, found
		}
		size := protowire.ConsumeFieldValue(num, typ, b[tag:])
		if size < 0 {
			return n, found
		}
		if num == field && typ == protowire.VarintType {
			n, _ = protowire.ConsumeVarint(b[tag:])
			found = true
		}
		b = b[tag+size:]
	}
	return n, found
}

// Flaw returns what is wrong with a message that was not decoded, and whether that is its size. It
// reports whether anything is.
func Flaw(m proto.Message) (text string, large, is bool) {
	unknown := m.ProtoReflect().GetUnknown()
	if len(unknown) == 0 {
		return "", false, false
	}
	num, typ, tag := protowire.ConsumeTag(unknown)
	if tag < 0 || typ != protowire.BytesType || num != tooLarge && num != malformed {
		return "", false, false
	}
	value, size := protowire.ConsumeString(unknown[tag:])
	if size < 0 {
		return "", false, false
	}
	return value, num == tooLarge, true
}

// look is why a message is not to be decoded; nil: it is.
func look(b []byte, d protoreflect.MessageDescriptor) error {
	if len(b) <= Small {
		return nil
	}
	most := limit(d)
	if d.FullName() == "dlm.v1.StreamRequest" {
		most = carried(b, d)
	}
	if len(b) > most {
		return fmt.Errorf("%d bytes: want at most %d", len(b), most)
	}
	if w := weigh(b, d, 0); w > most+most/2 {
		return fmt.Errorf("it would take %d bytes of memory: want at most %d", w, most+most/2)
	}
	return nil
}
