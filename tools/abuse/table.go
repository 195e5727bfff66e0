package main

import (
	"fmt"
	"strings"
	"time"
)

const mebibyte = 1 << 20

// slower returns what is unmet by time alone.
func (m measured) slower() (unmet []string) {
	if bar := time.Duration(m.flood.bar * float64(m.control)); m.p50 > bar || m.p50 == 0 {
		unmet = append(unmet, fmt.Sprintf("p50 above %.3gx", m.flood.bar))
	}
	if m.gap > longest {
		unmet = append(unmet, fmt.Sprintf("gap above %v", longest))
	}
	if m.passedOn > passedOn {
		unmet = append(unmet, fmt.Sprintf("the killed holder's lock took more than %v", passedOn))
	}
	return unmet
}

// unmet returns every bar that is not met.
func (m measured) unmet(budget int64) (unmet []string) {
	if len(m.faults) > 0 {
		unmet = append(unmet, m.faults...)
	}
	unmet = append(unmet, m.slower()...)
	if most := 2*m.idle + 2*budget + m.flood.stores; m.peak > most {
		unmet = append(unmet, fmt.Sprintf("peak above %d MiB", most/mebibyte))
	}
	if m.after > 2*m.idle+aboveIdle {
		unmet = append(unmet, fmt.Sprintf("after %v above %d MiB", settles, (2*m.idle+aboveIdle)/mebibyte))
	}
	if m.logged > logBytes {
		unmet = append(unmet, fmt.Sprintf("log above %d MiB", logBytes/mebibyte))
	}
	return unmet
}

// again reports whether measuring the flood once more may help: what is unmet is unmet by time, and
// not by much, for whoever else uses the machine.
func (m measured) again(budget int64) bool {
	return len(m.slower()) > 0 && len(m.slower()) == len(m.unmet(budget))
}

// Columns: times in milliseconds, memory in MiB, log in KiB.
const header = "flood                 control     p50      x      p99      gap   idle   peak  after      log     sent  answered  refused   failed    cut  cpu"

func (m measured) String() string {
	after := "-"
	if m.after > 0 {
		after = fmt.Sprint(m.after / mebibyte)
	}
	times := 0.0
	if m.control > 0 {
		times = float64(m.p50) / float64(m.control)
	}
	o := m.outcome
	return fmt.Sprintf("%-20s %8.2f %7.2f %6.2f %8.1f %8.0f %6d %6d %6s %8d %8d  %8d %8d %8d %6d %4.1f", m.flood.name,
		millis(m.control), millis(m.p50), times, millis(m.p99), millis(m.gap), m.idle/mebibyte, m.peak/mebibyte, after, m.logged>>10,
		o.Sent, o.Answered, o.Refused, o.Failed, o.Cut, o.CPU.Seconds())
}

// verdict returns the row's last column.
func (m measured) verdict(budget int64) string {
	text := "ok"
	if list := m.unmet(budget); len(list) > 0 {
		text = "UNMET: " + strings.Join(list, "; ")
	}
	if m.passedOn > 0 {
		text += fmt.Sprintf(" (killed holder: passed on after %.1f s)", m.passedOn.Seconds())
	}
	if m.failures > 0 {
		text += fmt.Sprintf(" (%d cycles failed)", m.failures)
	}
	return text
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
