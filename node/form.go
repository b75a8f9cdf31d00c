package node

import (
	"context"
	"errors"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/storage"
)

// Form answers an owner who draws members for a new group: this node's signed
// peer record and a reservation, or why not.
func (n *Node) Form(ctx context.Context, from protocol.Remote, r *protocol.FormRequest) (*protocol.FormReply, error) {
	_, id, err := protocol.ParseGroupRecord(n.cfg.Network, r.Record)
	if err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := n.admits(); err != nil {
		return nil, err
	}
	// While a folder is missing nobody can tell whether the group lies there. Then
	// it could not be founded, so nothing is promised.
	if _, err := n.store.GroupByPrefix(ctx, id.Prefix()); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, n.hideStore("find group", err)
	}
	if err := n.deal.may(contract.Deed{Kind: contract.NewGroup, Bytes: r.Bytes}, n.now()); err != nil {
		return nil, err
	}
	if r.Bytes > n.given() {
		return nil, protocol.Refuse(protocol.CodeFull, "%d bytes are donated here", n.given())
	}
	env, err := n.cfg.Net.Envelope()
	if err != nil {
		return nil, err
	}
	until, err := n.quota.Reserve(id, quota.SourceOf(from), n.promised(id, r.Profile, r.Bytes), n.storeFree(), n.now())
	if err != nil {
		return nil, err
	}
	return &protocol.FormReply{Envelope: env, Until: until.Unix()}, nil
}

// promised returns how many of the bytes that are asked for on a group's behalf are
// reserved: no more than a member of its profile can still come to keep.
func (n *Node) promised(id protocol.GroupID, p protocol.Profile, bytes int64) int64 {
	return max(0, min(bytes, group.ShareOf(p, group.MaxBytes(p))-n.quota.Used(id)))
}

// admits refuses groups that are new here where this node takes none.
func (n *Node) admits() error {
	switch n.cfg.Accepts {
	case protocol.AcceptsOpen:
	case protocol.AcceptsVouchers:
		return protocol.Refuse(protocol.CodeVoucher, "this node takes holders of a voucher")
	default:
		return protocol.Refuse(protocol.CodeFull, "this node takes no new groups")
	}
	return storeRefusal(n.store.Usage().Err)
}

// given returns how many bytes may lie here: those donated, as far as the donor's
// limits on traffic allow. With more, repair would overtax the line.
func (n *Node) given() int64 { return min(n.cfg.Donated, n.deal.cfg.Bears()) }

// storeFree returns the bytes that the donation and the disk still take.
func (n *Node) storeFree() int64 {
	u := n.store.Usage()
	if u.Err != nil {
		return 0
	}
	return max(0, min(u.Free, n.given()-u.Used))
}
