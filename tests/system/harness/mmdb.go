package harness

import (
	"bytes"
	"encoding/binary"
	"math"
	"net/netip"
	"os"
	"testing"
)

// Place is a row of a city database.
type Place struct {
	Prefix, Code, Country, City string
	ID                          uint32
	Latitude, Longitude         float64
}

type treeNode [2]any // nil, *treeNode or an offset in the data

// WriteCities writes a city database in MaxMind's format beside the file and puts it in its place.
func WriteCities(t testing.TB, file string, built uint64, places ...Place) {
	t.Helper()
	root, data := &treeNode{}, &bytes.Buffer{}
	for _, p := range places {
		at := data.Len()
		names := func(name string) []any { return []any{"en", name} }
		mmdb(data, []any{"country", []any{"iso_code", p.Code, "names", names(p.Country)},
			"city", []any{"geoname_id", p.ID, "names", names(p.City)},
			"location", []any{"latitude", p.Latitude, "longitude", p.Longitude}})
		insertPrefix(root, netip.MustParsePrefix(p.Prefix), at)
	}
	var nodes []*treeNode
	numbers := map[*treeNode]int{}
	for queue := []*treeNode{root}; len(queue) > 0; queue = queue[1:] {
		numbers[queue[0]] = len(nodes)
		nodes = append(nodes, queue[0])
		for _, child := range queue[0] {
			if n, ok := child.(*treeNode); ok {
				queue = append(queue, n)
			}
		}
	}
	out := &bytes.Buffer{}
	for _, n := range nodes {
		for _, child := range n {
			record := len(nodes)
			switch c := child.(type) {
			case *treeNode:
				record = numbers[c]
			case int:
				record = len(nodes) + 16 + c
			}
			out.Write([]byte{byte(record >> 16), byte(record >> 8), byte(record)})
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	mmdb(out, []any{"node_count", uint32(len(nodes)), "record_size", uint16(24), "ip_version", uint16(6), "database_type", "Test-City",
		"binary_format_major_version", uint16(2), "binary_format_minor_version", uint16(0), "build_epoch", built, "description", []any{},
		"languages", []string{"en"}})
	if err := os.WriteFile(file+".new", out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func insertPrefix(node *treeNode, p netip.Prefix, at int) {
	bits, addr := p.Bits(), [16]byte{}
	if a := p.Addr(); a.Is4() {
		four := a.As4()
		copy(addr[12:], four[:])
		bits += 96
	} else {
		addr = a.As16()
	}
	for i := range bits {
		side := addr[i/8] >> (7 - i%8) & 1
		if i+1 == bits {
			node[side] = at
			return
		}
		if node[side] == nil {
			node[side] = &treeNode{}
		}
		node = node[side].(*treeNode)
	}
}

// mmdb appends a value: a map is a list of keys and values.
func mmdb(b *bytes.Buffer, value any) {
	control := func(kind, size int) {
		if kind > 7 {
			b.WriteByte(byte(size))
			b.WriteByte(byte(kind - 7))
		} else {
			b.WriteByte(byte(kind<<5 | size))
		}
	}
	switch v := value.(type) {
	case string:
		if len(v) < 29 {
			control(2, len(v))
		} else {
			control(2, 29)
			b.WriteByte(byte(len(v) - 29))
		}
		b.WriteString(v)
	case float64:
		control(3, 8)
		b.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case uint16:
		control(5, 2)
		b.Write(binary.BigEndian.AppendUint16(nil, v))
	case uint32:
		control(6, 4)
		b.Write(binary.BigEndian.AppendUint32(nil, v))
	case uint64:
		control(9, 8)
		b.Write(binary.BigEndian.AppendUint64(nil, v))
	case []string:
		control(11, len(v))
		for _, item := range v {
			mmdb(b, item)
		}
	case []any:
		control(7, len(v)/2)
		for _, item := range v {
			mmdb(b, item)
		}
	}
}
