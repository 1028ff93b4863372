package main

import (
	"slices"
	"testing"
)

// What is left of a range is every address outside of the exceptions, and no other.
func TestWithout(t *testing.T) {
	for _, c := range []struct {
		cidr   string
		except []string
		want   []string
	}{
		{"10.0.0.0/24", nil, []string{"10.0.0.0/24"}},
		{"10.0.0.0/24", []string{"10.0.0.0/25"}, []string{"10.0.0.128/25"}},
		{"10.0.0.0/30", []string{"10.0.0.2/32"}, []string{"10.0.0.0/31", "10.0.0.3/32"}},
		{"10.0.0.0/30", []string{"10.0.0.1/32", "10.0.0.2/32"}, []string{"10.0.0.0/32", "10.0.0.3/32"}},
		{"10.0.0.0/24", []string{"10.0.0.0/16"}, nil},
		{"10.0.0.0/24", []string{"192.168.0.0/16"}, []string{"10.0.0.0/24"}},
		{"fd00::/8", nil, nil},
	} {
		if got := without(c.cidr, c.except); !slices.Equal(got, c.want) {
			t.Errorf("%s without %v is %v, expected %v", c.cidr, c.except, got, c.want)
		}
	}
}
