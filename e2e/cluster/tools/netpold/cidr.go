package main

import "net/netip"

// without cuts the exceptions out of an IPv4 range and returns what is left as ranges; what can't be
// read as an IPv4 range is nothing.
func without(cidr string, exceptions []string) []string {
	whole, err := netip.ParsePrefix(cidr)
	if err != nil || !whole.Addr().Is4() {
		return nil
	}
	left := []netip.Prefix{whole.Masked()}
	for _, text := range exceptions {
		exception, err := netip.ParsePrefix(text)
		if err != nil || !exception.Addr().Is4() {
			continue
		}
		var next []netip.Prefix
		for _, piece := range left {
			next = append(next, cut(piece, exception.Masked())...)
		}
		left = next
	}
	var out []string
	for _, piece := range left {
		out = append(out, piece.String())
	}
	return out
}

// cut halves a range until the halves lie wholly inside or outside of the exception.
func cut(piece, exception netip.Prefix) []netip.Prefix {
	if !piece.Overlaps(exception) {
		return []netip.Prefix{piece}
	}
	if exception.Bits() <= piece.Bits() {
		return nil
	}
	bits := piece.Bits() + 1
	low := netip.PrefixFrom(piece.Addr(), bits)
	bytes := piece.Addr().As4()
	bytes[piece.Bits()/8] |= 0x80 >> (piece.Bits() % 8)
	high := netip.PrefixFrom(netip.AddrFrom4(bytes), bits)
	return append(cut(low, exception), cut(high, exception)...)
}
