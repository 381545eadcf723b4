// Package capture writes what crossed network interfaces as pcapng, which Wireshark and tcpdump open.
//
// There is one interface block for each interface that saw a packet, named as the trace names it (namespace/device), so that one file shows a packet
// on its whole way: filter with frame.interface_name.
package capture

import (
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/ekslab/ekslab/sim/engine"
	"github.com/ekslab/ekslab/sim/trace"
)

// Writer writes the Out and In records of a trace.
type Writer struct {
	w          *pcapgo.NgWriter
	log        *trace.Log
	interfaces map[trace.Name]int
	buffer     []byte
	err        error
}

// Attach writes every packet that crosses an interface from now on. Close must be called in the end.
func Attach(log *trace.Log, to io.Writer) *Writer {
	c := &Writer{log: log, interfaces: map[trace.Name]int{}}
	log.Attach(trace.Set(trace.Out, trace.In), func(r *trace.Record) {
		if c.err == nil {
			c.err = c.write(to, r)
		}
	})
	return c
}

func (c *Writer) write(to io.Writer, r *trace.Record) error {
	index, ok := c.interfaces[r.Actor]
	if !ok {
		description := pcapgo.NgInterface{Name: c.log.String(r.Actor), LinkType: layers.LinkTypeIPv4, SnapLength: 65535, TimestampResolution: 9}
		if c.w == nil {
			w, err := pcapgo.NewNgWriterInterface(to, description, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "ekslab"}})
			if err != nil {
				return err
			}
			c.w = w
		} else {
			n, err := c.w.AddInterface(description)
			if err != nil {
				return err
			}
			index = n
		}
		c.interfaces[r.Actor] = index
	}
	c.buffer = r.Packet.AppendWire(c.buffer[:0])
	info := gopacket.CaptureInfo{Timestamp: engine.Epoch.Add(r.Time), CaptureLength: len(c.buffer), Length: len(c.buffer), InterfaceIndex: index}
	return c.w.WritePacket(info, c.buffer)
}

// Close writes what is buffered and returns the first error of the capture.
func (c *Writer) Close() error {
	if c.err == nil && c.w != nil {
		c.err = c.w.Flush()
	}
	return c.err
}
