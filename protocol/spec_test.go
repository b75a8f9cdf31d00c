package protocol

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func specText(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Every section that a comment of this module cites is a heading of the
// specification, and every link within that leads to one.
func TestSpecSectionsExist(t *testing.T) {
	text := specText(t)
	headings := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^#{2,3} (.+)$`).FindAllStringSubmatch(text, -1) {
		headings[m[1]] = true
	}
	cited := regexp.MustCompile(`SPEC\.md,\s+(?:// )?"?([A-Z][a-z']+(?: [a-z']+)*)`)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range cited.FindAllStringSubmatch(string(raw), -1) {
			if name, ok := longestPrefix(m[1], headings); !ok {
				t.Errorf("%s cites %q, which SPEC.md has not (%q)", path, m[1], name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\]\(#([a-z0-9-]+)\)`).FindAllStringSubmatch(text, -1) {
		if !slices.ContainsFunc(sortedKeys(headings), func(h string) bool {
			return m[1] == anchor(h) || m[1] == anchor(h)+"-1"
		}) {
			t.Errorf("a link leads to #%s, which is no heading", m[1])
		}
	}
}

// longestPrefix looks for a heading at the beginning of a citation, after which a
// sentence may go on.
func longestPrefix(cited string, headings map[string]bool) (string, bool) {
	words := strings.Split(cited, " ")
	for n := len(words); n > 0; n-- {
		if h := strings.Join(words[:n], " "); headings[h] {
			return h, true
		}
	}
	return cited, false
}

func anchor(heading string) string {
	return strings.NewReplacer(" ", "-", "'", "").Replace(strings.ToLower(heading))
}

// The tables of messages and codes agree with the code.
func TestSpecTables(t *testing.T) {
	text := specText(t)
	number := func(s string) int {
		n, err := strconv.Atoi(strings.ReplaceAll(s, ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| \[([A-Za-z]+)\]\([^)]*\) \| ([\d,]+) \| ([\d,]+) \|`).FindAllStringSubmatch(text, -1)
	for _, m := range rows {
		kind, name := Kind(number(m[1])), strings.ToLower(m[2])
		if kind.String() != name || number(m[3]) != limits[name+" request"] || number(m[4]) != limits[name+" reply"] {
			t.Errorf("message %s: %v", kind, m[0])
		}
	}
	if len(rows) != len(Kinds()) {
		t.Errorf("%d messages in the table", len(rows))
	}
	for code, name := range codeText {
		if !strings.Contains(text, fmt.Sprintf("\n| %d | %s |", uint64(code), name)) {
			t.Errorf("code %d, %s, is not in the table", uint64(code), name)
		}
	}
	for _, n := range []int64{SliceSize(MaxShardSize, MaxShardSize), MaxChunkSlice, MaxAuditShards * MaxChunkSlice, PayloadSize, MaxInt, MaxSegment, MaxShardSize} {
		if plain := strconv.FormatInt(n, 10); !strings.Contains(strings.ReplaceAll(text, ",", ""), plain) {
			t.Errorf("nowhere does it say %d", n)
		}
	}
}

// The CDDL of every map has exactly the fields that the code writes.
func TestSpecCDDL(t *testing.T) {
	rules := cddlRules(specText(t))
	for name, v := range map[string]any{
		"descriptor": Descriptor{}, "signed": signed{}, "group-record": GroupRecord{}, "table": Table{}, "profile": Profile{},
		"grant": Grant{}, "delete": Delete{}, "renewal": Renewal{}, "pointer": Pointer{}, "read-proof": readProof{}, "group-proof": groupProof{},
		"fact": Fact{}, "manifest": Manifest{}, "page": Page{}, "target": Target{}, "invitation": Invitation{},
		"info-request": InfoRequest{}, "info-reply": InfoReply{}, "form-request": FormRequest{}, "form-reply": FormReply{},
		"put-request": PutRequest{}, "put-reply": PutReply{}, "get-request": GetRequest{}, "get-reply": GetReply{},
		"have-request": HaveRequest{}, "have-reply": HaveReply{}, "members-request": MembersRequest{}, "members-reply": MembersReply{},
		"facts-request": FactsRequest{}, "facts-reply": FactsReply{}, "refusal": refusal{},
		"handover": Handover{}, "shard-ref": ShardRef{}, "audit-request": AuditRequest{}, "audit-reply": AuditReply{},
		"reveal-request": RevealRequest{}, "reveal-reply": RevealReply{}, "beat": Beat{}, "group-renewal": GroupRenewal{},
		"nominate-request": NominateRequest{}, "nominate-reply": NominateReply{}, "enter-request": EnterRequest{},
		"enter-reply": EnterReply{}, "mend-request": MendRequest{},
	} {
		var want []string
		for _, p := range pairsOf(mustEncode(v)) {
			want = append(want, p.key)
		}
		got := rules[name]
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s has the fields %q; the code writes %q", name, got, want)
		}
	}
}

// cddlRules returns the keys of each map rule.
func cddlRules(text string) map[string][]string {
	out := make(map[string][]string)
	comment := regexp.MustCompile(`;.*`)
	rule := regexp.MustCompile(`(?ms)^([a-z-]+) += \{(.*?)\}\s*$`)
	inner := regexp.MustCompile(`\{[^}]*\}`)
	key := regexp.MustCompile(`([A-Za-z]+):`)
	for _, block := range strings.Split(text, "```cddl")[1:] {
		block, _, _ = strings.Cut(block, "```")
		block = comment.ReplaceAllString(block, "")
		for _, m := range rule.FindAllStringSubmatch(block, -1) {
			body := inner.ReplaceAllString(m[2], "")
			keys := []string{}
			if strings.Contains(body, "head,") {
				keys = append(keys, "v", "kind", "network")
			}
			for _, k := range key.FindAllStringSubmatch(body, -1) {
				keys = append(keys, k[1])
			}
			out[m[1]] = keys
		}
	}
	return out
}
