package wire

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// What a request may have in bytes, and once and a half of that in memory once it is decoded.
const (
	// Small is what nobody looks at: it cannot take more than some 100 KiB.
	Small = 2 << 10
	// MaxControl bounds all but those below. None that is of use has 2 KiB.
	MaxControl = 16 << 10
	// MaxHeartbeat is room for 1,000 acquisitions with the longest names.
	MaxHeartbeat = 512 << 10
	// MaxAppend is room for the largest record, and what goes with it.
	MaxAppend = 1<<20 + MaxControl
	// MaxPublish is room for the most operations, with the longest names, and their data.
	MaxPublish = 1<<20 + 64<<10
	// MaxOld bounds the appends of the coursework's API, whose clients have an answer of that for
	// one that is too large.
	MaxOld = 16 << 20
)

// element is what a message takes besides what is in it: a little more than any of the API's does.
const element = 128

// limit is what a message of a type may have.
func limit(d protoreflect.MessageDescriptor) int {
	switch d.FullName() {
	case "dlm.v1.HeartbeatRequest":
		return MaxHeartbeat
	case "dlm.v1.AppendRequest":
		return MaxAppend
	case "dlm.v1.PublishRequest":
		return MaxPublish
	case "lock_service.file_args":
		return MaxOld
	}
	return MaxControl
}

// carried is what a message of a multiplexed stream may have, by what it carries.
func carried(b []byte, d protoreflect.MessageDescriptor) int {
	most := MaxControl
	for len(b) > 0 {
		num, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			break
		}
		if f := d.Fields().ByNumber(num); f != nil && f.Message() != nil {
			most = max(most, limit(f.Message()))
		}
		size := protowire.ConsumeFieldValue(num, typ, b[tag:])
		if size < 0 {
			break
		}
		b = b[tag+size:]
	}
	return most
}

// maxDepth is how far messages are looked into. The API's lie three deep.
const maxDepth = 8

// weigh is about what a message takes once it is decoded, or has taken when that fails, from above.
func weigh(b []byte, d protoreflect.MessageDescriptor, depth int) (bytes int) {
	bytes = element
	if depth == maxDepth {
		return bytes + element*len(b)
	}
	for len(b) > 0 {
		num, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return bytes
		}
		size := protowire.ConsumeFieldValue(num, typ, b[tag:])
		if size < 0 {
			return bytes
		}
		f := d.Fields().ByNumber(num)
		switch {
		case f == nil: // kept as it is
			bytes += tag + size
		case typ == protowire.BytesType && f.Message() != nil:
			value, _ := protowire.ConsumeBytes(b[tag:])
			bytes += weigh(value, f.Message(), depth+1)
		case typ == protowire.BytesType && f.Kind() != protoreflect.StringKind && f.Kind() != protoreflect.BytesKind:
			bytes += 8 * size // packed numbers
		case f.IsList():
			bytes += 16 + size
		default:
			bytes += size
		}
		b = b[tag+size:]
	}
	return bytes
}
