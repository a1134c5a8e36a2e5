/** Bridges and their ports (linux/if_link.h, linux/if_bridge.h). Pure. */
import { AF_BRIDGE } from '#native/sys/constants.ts';
import type { MessageWriter } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type { NetOp } from './netlink.ts';
import { ifinfomsgLayout, linkHeader } from './rtnetlink-headers.ts';

type BridgeOp = Extract<
  NetOp,
  { readonly op: 'setBridge' | 'setBridgePort' | 'addBridgeVlans' | 'removeBridgeVlans' }
>;

interface Context {
  readonly resolver: { linkIndex(name: string): number };
  readonly sequence: number;
}

const acknowledged = nl.NLM_F_REQUEST | nl.NLM_F_ACK;

export function writeBridge(writer: MessageWriter, op: BridgeOp, { resolver, sequence }: Context): void {
  const index = resolver.linkIndex(op.name);
  if (op.op === 'addBridgeVlans' || op.op === 'removeBridgeVlans') {
    const type = op.op === 'addBridgeVlans' ? nl.RTM_SETLINK : nl.RTM_DELLINK;
    const header = linkHeader({ index });
    header[ifinfomsgLayout.ifi_family] = AF_BRIDGE;
    writer.message(type, acknowledged, sequence).raw(header);
    writeVlans(writer, op);
    return;
  }
  writer.message(nl.RTM_NEWLINK, acknowledged, sequence).raw(linkHeader({ index }));
  writer.nested(nl.IFLA_LINKINFO, () => {
    if (op.op === 'setBridge') {
      writer.text(nl.IFLA_INFO_KIND, 'bridge');
      writer.nested(nl.IFLA_INFO_DATA, () => writer.u8(nl.IFLA_BR_VLAN_FILTERING, Number(op.vlanFiltering)));
      return;
    }
    writer.text(nl.IFLA_INFO_SLAVE_KIND, 'bridge');
    writer.nested(nl.IFLA_INFO_SLAVE_DATA, () => {
      if (op.hairpin !== undefined) writer.u8(nl.IFLA_BRPORT_MODE, Number(op.hairpin));
      if (op.isolated !== undefined) writer.u8(nl.IFLA_BRPORT_ISOLATED, Number(op.isolated));
    });
  });
}

function writeVlans(
  writer: MessageWriter,
  op: Extract<BridgeOp, { readonly op: 'addBridgeVlans' | 'removeBridgeVlans' }>,
): void {
  const { first, last = first } = op;
  const isNative = op.op === 'addBridgeVlans' && op.isNative === true;
  const flags = isNative ? nl.BRIDGE_VLAN_INFO_PVID | nl.BRIDGE_VLAN_INFO_UNTAGGED : 0;
  const info = (more: number, id: number): void =>
    void writer.attribute(nl.IFLA_BRIDGE_VLAN_INFO, vlanInfo(flags | more, id));
  writer.nested(nl.IFLA_AF_SPEC, () => {
    if (first === last) return info(0, first);
    info(nl.BRIDGE_VLAN_INFO_RANGE_BEGIN, first);
    info(nl.BRIDGE_VLAN_INFO_RANGE_END, last);
  });
}

/** struct bridge_vlan_info */
function vlanInfo(flags: number, id: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16LE(flags, 0);
  bytes.writeUInt16LE(id, 2);
  return bytes;
}
