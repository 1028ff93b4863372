package main

import (
	"bytes"
	"fmt"
	"log"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// table is the filter table of this network namespace, as far as it is ours.
type table struct {
	applied string
	present map[string]bool // our chains that are in it
}

// openTable learns which chains an earlier run has left.
func openTable() *table {
	t := &table{present: map[string]bool{}}
	listed, err := iptables("", "iptables", "-w", "5", "-S")
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range strings.Split(listed, "\n") {
		name, found := strings.CutPrefix(line, "-N ")
		if found && (name == rootChain || strings.HasPrefix(name, ingress.prefix) || strings.HasPrefix(name, egress.prefix)) {
			t.present[name] = true
		}
	}
	return t
}

// apply puts the chains in place in one transaction and deletes those that are no longer wanted.
func (t *table) apply(wanted chains) error {
	began := time.Now()
	text := t.render(wanted)
	if text == t.applied {
		return nil
	}
	if _, err := iptables(text, "iptables-restore", "-w", "5", "--noflush"); err != nil {
		return err
	}
	for _, hook := range []string{"FORWARD", "INPUT"} {
		if _, err := iptables("", "iptables", "-w", "5", "-C", hook, "-j", rootChain); err == nil {
			continue
		}
		if _, err := iptables("", "iptables", "-w", "5", "-I", hook, "1", "-j", rootChain); err != nil {
			return err
		}
	}
	t.present = map[string]bool{}
	for name := range wanted {
		t.present[name] = true
	}
	t.applied = t.render(wanted)
	log.Printf("applied %d chains in %v", len(wanted), time.Since(began))
	return nil
}

// render writes the transaction. Naming a chain empties it, so a chain to be deleted is named first.
func (t *table) render(wanted chains) string {
	named := maps.Clone(t.present)
	for name := range wanted {
		named[name] = true
	}
	names := slices.Sorted(maps.Keys(named))
	var out strings.Builder
	out.WriteString("*filter\n")
	for _, name := range names {
		fmt.Fprintf(&out, ":%s - [0:0]\n", name)
	}
	for _, name := range names {
		for _, rule := range wanted[name] {
			fmt.Fprintf(&out, "-A %s %s\n", name, rule)
		}
	}
	for _, name := range names {
		if _, kept := wanted[name]; !kept {
			fmt.Fprintf(&out, "-X %s\n", name)
		}
	}
	out.WriteString("COMMIT\n")
	return out.String()
}

func iptables(stdin string, argv ...string) (string, error) {
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdin = strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%v: %w: %s", argv, err, bytes.TrimSpace(output))
	}
	return string(output), nil
}
