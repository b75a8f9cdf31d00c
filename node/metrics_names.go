package node

import "github.com/prometheus/client_golang/prometheus"

// docs/metrics.md says what each name means. Names stay: dashboards and alerts
// live on them.

// States that a gauge of their own stands for, 1 for the one that holds.
var (
	reaches     = []Reach{ReachUnknown, ReachPrivate, ReachPublic}
	storeStates = []string{StoreOK, StoreSuspended, StoreFailed}
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// A metric without labels, and what of a node's status it is.
type plainMetric struct {
	*prometheus.Desc
	kind prometheus.ValueType
	of   func(s *Status) float64
}

func plain[V int | int64](kind prometheus.ValueType, name, help string, of func(s *Status) V) plainMetric {
	return plainMetric{describe(name, help), kind, func(s *Status) float64 { return float64(of(s)) }}
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

var plainMetrics = []plainMetric{
	plain(gauge, "cairn_node_donated_bytes", "Bytes given.", func(s *Status) int64 { return s.Donated }),
	plain(gauge, "cairn_node_used_bytes", "Bytes that live shards and records take.", func(s *Status) int64 { return s.Used }),
	plain(gauge, "cairn_node_free_bytes", "Bytes that groups without a reservation may still take.", func(s *Status) int64 { return s.Free }),
	plain(gauge, "cairn_node_reserved_bytes", "Bytes promised to groups that are being formed.", func(s *Status) int64 { return s.Reserved }),
	plain(gauge, "cairn_node_shards", "Shards held.", func(s *Status) int { return s.Shards }),
	plain(gauge, "cairn_node_shards_damaged", "Shards known to be damaged on disk, and not mended since.", func(s *Status) int { return s.Scrub.Damaged }),
	plain(gauge, "cairn_node_groups", "Groups of which something is held.", func(s *Status) int { return s.Groups }),
	plain(gauge, "cairn_node_groups_announced", "Groups that this node announces in the DHT.", func(s *Status) int { return s.Announced }),
	plain(gauge, "cairn_node_groups_frozen", "Groups whose owners were long not heard of.", func(s *Status) int { return s.Frozen + s.Expired }),
	plain(gauge, "cairn_node_segments_freeing", "Deleted segments whose bytes are still here.", func(s *Status) int { return s.Freeing }),
	plain(gauge, "cairn_node_peers", "Peers known.", func(s *Status) int { return s.Peers }),
	plain(gauge, "cairn_node_donors", "Nodes spoken to within a day.", func(s *Status) int { return s.Donors }),
	plain(gauge, "cairn_node_relays", "Peers that lead to this node while it cannot be dialled.", func(s *Status) int { return len(s.Relays) }),
	plain(gauge, "cairn_node_cut_off", "1 while this node believes itself cut off, and judges nobody.", func(s *Status) int { return oneIf(s.CutOff) }),
	plain(counter, "cairn_node_streams_turned_away_total", "Streams reset because too many were open.", func(s *Status) int64 { return s.Traffic.TurnedAway }),
	plain(counter, "cairn_node_peers_shunned_total", "Peers cut off because they lied too much.", func(s *Status) int64 { return s.Traffic.Shunned }),
	plain(counter, "cairn_node_received_bytes_total", "Bytes of shards stored.", func(s *Status) int64 { return s.Traffic.Received }),
	plain(counter, "cairn_node_sent_bytes_total", "Bytes of shards and slices served.", func(s *Status) int64 { return s.Traffic.Sent }),
	plain(counter, "cairn_node_punched_total", "Direct connections made through NATs.", func(s *Status) int64 { return s.Punched }),
	plain(counter, "cairn_node_carried_bytes_total", "Bytes carried for other nodes, as their relay.", func(s *Status) int64 { return s.Carried }),
	plain(counter, "cairn_node_proved_total", "Shards that other holders audited here.", func(s *Status) int64 { return s.Traffic.Proved }),
	plain(counter, "cairn_node_mended_total", "Own shards rebuilt from co-members' that the disk had damaged, or that never came.", func(s *Status) int64 { return s.Traffic.Mended }),
	plain(counter, "cairn_node_lent_total", "Shards that co-members were lent, to repair or to mend.", func(s *Status) int64 { return s.Traffic.Lent }),
	plain(counter, "cairn_node_repaired_total", "Shards of others made again, and taken by them.", func(s *Status) int64 { return s.Traffic.Repaired }),
	plain(counter, "cairn_node_borrowed_bytes_total", "Bytes of shards fetched to make others again.", func(s *Status) int64 { return s.Traffic.Borrowed }),
	plain(counter, "cairn_node_given_bytes_total", "Bytes of shards made again that others took.", func(s *Status) int64 { return s.Traffic.Given }),
}

// Metrics with labels, and what no status tells.
var (
	infoDesc       = describe("cairn_node_info", "1, with the node's peer ID, network and program.", "peer", "network", "agent")
	reachDesc      = describe("cairn_node_reach", "1 for whether others can dial this node, as far as it knows.", "state")
	streamsDesc    = describe("cairn_node_streams", "Streams open for requests.")
	auditsDesc     = describe("cairn_node_audits_total", "Shards of other holders audited, by what it came to.", "outcome")
	neighboursDesc = describe("cairn_node_neighbours", "Nodes that share groups with this one, by how they stand.", "state")
	groupHealth    = describe("cairn_node_groups_health", "Groups shared, by what they need; those of the state thin are lazy or urgent as well.", "state")
	segmentHealth  = describe("cairn_node_segments_health", "Segments of the groups shared, by what they need; those of the state thin are lazy or urgent as well.", "state")
	monthDesc      = describe("cairn_node_month_bytes", "Bytes of this protocol that crossed the line in this calendar month.", "class", "direction")
	monthLeftDesc  = describe("cairn_node_month_left_bytes", "Bytes that may still cross it in this calendar month; absent without --month.", "class")
	restsDesc      = describe("cairn_node_rests", "1 for each cause that keeps the node from some of its work.", "cause")
	quotaDesc      = describe("cairn_store_quota_bytes", "Bytes given in a folder.", "dir")
	storeUsedDesc  = describe("cairn_store_used_bytes", "Bytes that live records take in a folder.", "dir")
	storeFreeDesc  = describe("cairn_store_free_bytes", "Bytes that a folder can still take, by its quota and by its disk.", "dir")
	storeStateDesc = describe("cairn_store_state", "1 for the state that a store is in.", "dir", "state")
)
