package tap

import (
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// Write writes packets as pcapng, with one interface block for each interface that saw one, named namespace/device as the simulator's captures name them.
func Write(to io.Writer, packets []Packet) error {
	var w *pcapgo.NgWriter
	interfaces := map[string]int{}
	for i := range packets {
		p := &packets[i]
		name := p.Namespace + "/" + p.Interface
		index, ok := interfaces[name]
		if !ok {
			description := pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeIPv4, SnapLength: 65535, TimestampResolution: 9}
			var err error
			if w == nil {
				w, err = pcapgo.NewNgWriterInterface(to, description, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "ekslab"}})
			} else {
				index, err = w.AddInterface(description)
			}
			if err != nil {
				return err
			}
			interfaces[name] = index
		}
		info := gopacket.CaptureInfo{Timestamp: p.At, CaptureLength: len(p.Raw), Length: len(p.Raw), InterfaceIndex: index}
		if err := w.WritePacket(info, p.Raw); err != nil {
			return err
		}
	}
	if w == nil {
		return nil
	}
	return w.Flush()
}
