/** Rules of policy routing (linux/fib_rules.h); struct fib_rule_hdr has the layout of struct rtmsg, but for names. Pure. */
import { maskPrefix, parsePrefix } from './address.ts';
import type { MessageWriter } from './codec.ts';
import * as nl from './netlink-constants.ts';
import type { NetOp } from './netlink.ts';
import { rtmsgLayout } from './rtnetlink-headers.ts';

/** rtm_src_len; the action is where a route has its type. */
export const ruleSourceLength = 2;

export function writeRule(
  writer: MessageWriter,
  op: Extract<NetOp, { readonly op: 'ensureRule' | 'removeRule' }>,
  sequence: number,
): void {
  const isNew = op.op === 'ensureRule';
  const source = maskPrefix(parsePrefix(op.source));
  const header = Buffer.alloc(rtmsgLayout.size);
  header[rtmsgLayout.rtm_family] = source.family;
  header[ruleSourceLength] = source.length;
  header[rtmsgLayout.rtm_type] = nl.FR_ACT_TO_TBL;
  const flags = nl.NLM_F_REQUEST | nl.NLM_F_ACK | (isNew ? nl.NLM_F_CREATE | nl.NLM_F_EXCL : 0);
  writer.message(isNew ? nl.RTM_NEWRULE : nl.RTM_DELRULE, flags, sequence).raw(header);
  writer.attribute(nl.FRA_SRC, source.bytes).u32(nl.FRA_TABLE, op.table);
}
