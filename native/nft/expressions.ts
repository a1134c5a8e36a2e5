/** Rules as nf_tables expressions: small instructions over sixteen 4-byte registers (nf_tables.h). Pure. */
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import type { MessageWriter } from '#native/netlink/codec.ts';
import { parseAddress, parsePrefix } from '#native/netlink/address.ts';
import { AF_INET, AF_INET6 } from '#native/sys/constants.ts';
import { type LoadFacts, loadFacts, type PlainRule, prefixMask } from './loads.ts';
import type { Family, NftExpr, NftLoad, NftValue, Verdict } from './nft.ts';
import * as nft from './nftables-constants.ts';
import { slotBytes, typeFacts, valueBytes, valueRange } from './values.ts';

const firstRegister = nft.NFT_REG32_00;

/** What an encoder of one rule knows besides its writer. */
interface RuleContext {
  readonly writer: MessageWriter;
  readonly family: Family;
  /** The network protocol that earlier expressions of the rule made sure of. */
  network: 'ip' | 'ip6' | undefined;
  readonly rejectsTcp: boolean;
}

type Attributes = (writer: MessageWriter) => void;

function expression(writer: MessageWriter, name: string, attributes: Attributes): void {
  writer.nested(nft.NFTA_LIST_ELEM, () => {
    writer.text(nft.NFTA_EXPR_NAME, name).nested(nft.NFTA_EXPR_DATA, attributes);
  });
}

function writeCount(writer: MessageWriter, name: string | undefined): void {
  if (name === undefined) return expression(writer, 'counter', () => {});
  return expression(writer, 'objref', () => {
    writer.u32Be(nft.NFTA_OBJREF_IMM_TYPE, nft.NFT_OBJECT_COUNTER).text(nft.NFTA_OBJREF_IMM_NAME, name);
  });
}

/** All expressions of a rule that `splitReject` has made plain. */
export function writeExpressions(writer: MessageWriter, family: Family, rule: PlainRule): void {
  const network = family === 'ip' || family === 'ip6' ? family : undefined;
  const context: RuleContext = { writer, family, network, rejectsTcp: rule.rejectsTcp };
  for (const expr of rule.exprs) writeExpression(context, expr);
}

function writeExpression(context: RuleContext, expr: NftExpr): void {
  const { writer } = context;
  switch (expr.expr) {
    case 'match':
      return writeMatch(context, expr);
    case 'lookup':
      writeLoads(context, expr.key, firstRegister);
      return writeLookup(writer, expr.set, { negate: expr.negate === true });
    case 'vmap':
      writeLoads(context, expr.key, firstRegister);
      return writeLookup(writer, expr.map, { destination: nft.NFT_REG_VERDICT });
    case 'dnat map':
      return writeMappedDnat(context, expr);
    case 'dnat':
    case 'snat':
      return writeNat(context, expr);
    case 'masquerade':
      return expression(writer, 'masq', () => {
        if (expr.fullyRandom === true) writer.u32Be(nft.NFTA_MASQ_FLAGS, nft.NF_NAT_RANGE_PROTO_RANDOM_FULLY);
      });
    case 'redirect':
      writeImmediate(writer, firstRegister, valueBytes('inet_service', expr.port));
      return expression(writer, 'redir', () => writer.u32Be(nft.NFTA_REDIR_REG_PROTO_MIN, firstRegister));
    case 'mark set':
      return writeMark(context, expr.value, expr.how);
    case 'update':
      return writeUpdate(context, expr);
    case 'counter':
      return writeCount(writer, expr.name);
    case 'notrack':
      return expression(writer, 'notrack', () => {});
    case 'reject':
      return writeReject(context);
    case 'verdict':
      return writeImmediateVerdict(writer, expr.verdict);
    default:
      unreachable(expr);
  }
}

/** Loads values into consecutive slots; returns the register after them. @throws E_LIMIT beyond the sixteen there are */
function writeLoads(context: RuleContext, loads: readonly NftLoad[], first: number): number {
  let register = first;
  for (const load of loads) {
    const facts = loadFacts(load);
    const next = register + slotBytes(facts.type) / 4;
    if (next > nft.NFT_REG32_00 + nft.NFT_REG32_COUNT) {
      throw new PodwrightError('E_LIMIT', `encode rule: key of ${loads.length} values exceeds the registers`);
    }
    writeLoad(context, load, facts, register);
    register = next;
  }
  return register;
}

function writeLoad(context: RuleContext, load: NftLoad, facts: LoadFacts, register: number): void {
  const { writer } = context;
  switch (facts.kind) {
    case 'payload':
      if (facts.network !== undefined) requireNetwork(context, facts.network);
      expression(writer, 'payload', () => {
        writer.u32Be(nft.NFTA_PAYLOAD_DREG, register).u32Be(nft.NFTA_PAYLOAD_BASE, facts.base);
        writer.u32Be(nft.NFTA_PAYLOAD_OFFSET, facts.offset);
        writer.u32Be(nft.NFTA_PAYLOAD_LEN, typeFacts[facts.type].bytes);
      });
      if ('prefixLength' in load && load.prefixLength !== undefined) {
        writeBitwise(writer, prefixMask(typeFacts[facts.type].bytes, load.prefixLength), { register });
      }
      return;
    case 'meta':
      return expression(writer, 'meta', () => {
        writer.u32Be(nft.NFTA_META_DREG, register).u32Be(nft.NFTA_META_KEY, facts.key);
      });
    case 'ct':
      return expression(writer, 'ct', () => {
        writer.u32Be(nft.NFTA_CT_DREG, register).u32Be(nft.NFTA_CT_KEY, facts.key);
      });
    case 'fib':
      return expression(writer, 'fib', () => {
        writer.u32Be(nft.NFTA_FIB_DREG, register).u32Be(nft.NFTA_FIB_RESULT, nft.NFT_FIB_RESULT_ADDRTYPE);
        writer.u32Be(nft.NFTA_FIB_FLAGS, nft.NFTA_FIB_F_DADDR);
      });
    case 'numgen':
      return expression(writer, 'numgen', () => {
        writer
          .u32Be(nft.NFTA_NG_DREG, register)
          .u32Be(nft.NFTA_NG_MODULUS, 'modulus' in load ? load.modulus : 1);
        writer.u32Be(nft.NFTA_NG_TYPE, facts.key);
      });
    default:
      unreachable(facts);
  }
}

/**
 * Where a table sees more than one network protocol, an offset into the header means nothing until the protocol is known.
 * nft adds the same compare, and leaves it out again when it lists the rule.
 */
function requireNetwork(context: RuleContext, network: 'ip' | 'ip6'): void {
  if (context.network === network) return;
  if (context.network !== undefined) {
    throw new PodwrightError('E_INVALID', `encode rule: ${network} header in a rule for ${context.network}`);
  }
  context.network = network;
  const { writer, family } = context;
  const [key, wanted] =
    family === 'bridge'
      ? [nft.NFT_META_PROTOCOL, Buffer.from([network === 'ip' ? 0x08 : 0x86, network === 'ip' ? 0x00 : 0xdd])]
      : [nft.NFT_META_NFPROTO, Buffer.from([network === 'ip' ? nft.NFPROTO_IPV4 : nft.NFPROTO_IPV6])];
  expression(writer, 'meta', () => {
    writer.u32Be(nft.NFTA_META_DREG, firstRegister).u32Be(nft.NFTA_META_KEY, key);
  });
  writeCompare(writer, '==', wanted);
}

function writeMatch(context: RuleContext, expr: Extract<NftExpr, { readonly expr: 'match' }>): void {
  const { writer } = context;
  const { type } = loadFacts(expr.left);
  writeLoads(context, [expr.left], firstRegister);
  const { isBitmask, bytes } = typeFacts[type];
  if (expr.mask !== undefined) {
    writeBitwise(writer, valueBytes(type, expr.mask));
    return writeCompare(writer, expr.op, valueBytes(type, expr.right));
  }
  if (isBitmask === true) {
    // `ct state established,related`: any of the bits.
    writeBitwise(writer, valueBytes(type, expr.right));
    return writeCompare(writer, expr.op === '==' ? '!=' : '==', Buffer.alloc(bytes));
  }
  if (type === 'ifname') return writeCompare(writer, expr.op, interfaceName(expr.right));
  const isPrefix = typeof expr.right === 'string' && expr.right.includes('/');
  const [from, to] = valueRange(type, expr.right);
  if (isPrefix) {
    const { length } = parsePrefix(String(expr.right));
    writeBitwise(writer, prefixMask(bytes, length));
    return writeCompare(writer, expr.op, from);
  }
  if (from.equals(to)) return writeCompare(writer, expr.op, from);
  return expression(writer, 'range', () => {
    writer.u32Be(nft.NFTA_RANGE_SREG, firstRegister);
    writer.u32Be(nft.NFTA_RANGE_OP, expr.op === '==' ? nft.NFT_RANGE_EQ : nft.NFT_RANGE_NEQ);
    writer.nested(nft.NFTA_RANGE_FROM_DATA, () => writer.attribute(nft.NFTA_DATA_VALUE, from));
    writer.nested(nft.NFTA_RANGE_TO_DATA, () => writer.attribute(nft.NFTA_DATA_VALUE, to));
  });
}

/** `veth*` compares only the bytes before the star; a whole name compares its padding too. */
function interfaceName(value: NftValue): Buffer {
  if (typeof value === 'string' && value.length > 1 && value.endsWith('*')) {
    return valueBytes('ifname', value.slice(0, -1)).subarray(0, value.length - 1);
  }
  return valueBytes('ifname', value);
}

function writeCompare(writer: MessageWriter, op: '==' | '!=', data: Buffer): void {
  expression(writer, 'cmp', () => {
    writer.u32Be(nft.NFTA_CMP_SREG, firstRegister);
    writer.u32Be(nft.NFTA_CMP_OP, op === '==' ? nft.NFT_CMP_EQ : nft.NFT_CMP_NEQ);
    writer.nested(nft.NFTA_CMP_DATA, () => writer.attribute(nft.NFTA_DATA_VALUE, data));
  });
}

/** register = (register & mask) ^ xor */
function writeBitwise(
  writer: MessageWriter,
  mask: Buffer,
  {
    xor = Buffer.alloc(mask.length),
    register = firstRegister,
  }: { readonly xor?: Buffer; readonly register?: number } = {},
): void {
  expression(writer, 'bitwise', () => {
    writer.u32Be(nft.NFTA_BITWISE_SREG, register).u32Be(nft.NFTA_BITWISE_DREG, register);
    writer.u32Be(nft.NFTA_BITWISE_LEN, mask.length);
    writer.nested(nft.NFTA_BITWISE_MASK, () => writer.attribute(nft.NFTA_DATA_VALUE, mask));
    writer.nested(nft.NFTA_BITWISE_XOR, () => writer.attribute(nft.NFTA_DATA_VALUE, xor));
  });
}

function writeLookup(
  writer: MessageWriter,
  set: string,
  options: { readonly destination?: number; readonly negate?: boolean },
): void {
  expression(writer, 'lookup', () => {
    writer.text(nft.NFTA_LOOKUP_SET, set).u32Be(nft.NFTA_LOOKUP_SREG, firstRegister);
    if (options.destination !== undefined) writer.u32Be(nft.NFTA_LOOKUP_DREG, options.destination);
    if (options.negate === true) writer.u32Be(nft.NFTA_LOOKUP_FLAGS, nft.NFT_LOOKUP_F_INV);
  });
}

/** The map's data (address, then port) lands in the registers that held the key. */
function writeMappedDnat(context: RuleContext, expr: Extract<NftExpr, { readonly expr: 'dnat map' }>): void {
  const { writer } = context;
  writeLoads(context, expr.key, firstRegister);
  writeLookup(writer, expr.map, { destination: firstRegister });
  if (context.network === undefined) {
    throw new PodwrightError('E_INVALID', `encode rule: dnat map @${expr.map} with no address in its key`);
  }
  const addressSlots = context.network === 'ip' ? 1 : 4;
  const isIpv4 = context.network === 'ip';
  writeNatRegisters(writer, nft.NFT_NAT_DNAT, {
    family: isIpv4 ? nft.NFPROTO_IPV4 : nft.NFPROTO_IPV6,
    port: firstRegister + addressSlots,
  });
}

function writeNat(context: RuleContext, expr: Extract<NftExpr, { readonly expr: 'dnat' | 'snat' }>): void {
  const { writer } = context;
  const address = parseAddress(expr.address);
  const portRegister = firstRegister + address.bytes.length / 4;
  requireNetwork(context, address.family === AF_INET ? 'ip' : 'ip6');
  writeImmediate(writer, firstRegister, address.bytes);
  if (expr.port !== undefined) writeImmediate(writer, portRegister, valueBytes('inet_service', expr.port));
  writeNatRegisters(writer, expr.expr === 'dnat' ? nft.NFT_NAT_DNAT : nft.NFT_NAT_SNAT, {
    family: address.family === AF_INET6 ? nft.NFPROTO_IPV6 : nft.NFPROTO_IPV4,
    port: expr.port === undefined ? undefined : portRegister,
  });
}

function writeNatRegisters(
  writer: MessageWriter,
  type: number,
  nat: { readonly family: number; readonly port: number | undefined },
): void {
  expression(writer, 'nat', () => {
    writer.u32Be(nft.NFTA_NAT_TYPE, type).u32Be(nft.NFTA_NAT_FAMILY, nat.family);
    writer.u32Be(nft.NFTA_NAT_REG_ADDR_MIN, firstRegister);
    if (nat.port !== undefined) writer.u32Be(nft.NFTA_NAT_REG_PROTO_MIN, nat.port);
  });
}

function writeMark(context: RuleContext, value: number, how: 'or' | 'xor' | undefined): void {
  const { writer } = context;
  if (how === undefined) {
    writeImmediate(writer, firstRegister, valueBytes('mark', value));
  } else {
    writeLoads(context, [{ load: 'meta mark' }], firstRegister);
    // (mark & ~value) ^ value = mark | value
    const mask = how === 'or' ? ~value >>> 0 : 0xffff_ffff;
    writeBitwise(writer, valueBytes('mark', mask), { xor: valueBytes('mark', value) });
  }
  expression(writer, 'meta', () => {
    writer.u32Be(nft.NFTA_META_KEY, nft.NFT_META_MARK).u32Be(nft.NFTA_META_SREG, firstRegister);
  });
}

function writeUpdate(context: RuleContext, expr: Extract<NftExpr, { readonly expr: 'update' }>): void {
  const { writer } = context;
  const dataRegister = writeLoads(context, expr.key, firstRegister);
  if (expr.data !== undefined) writeLoads(context, expr.data, dataRegister);
  expression(writer, 'dynset', () => {
    writer.text(nft.NFTA_DYNSET_SET_NAME, expr.set).u32Be(nft.NFTA_DYNSET_OP, nft.NFT_DYNSET_OP_UPDATE);
    writer.u32Be(nft.NFTA_DYNSET_SREG_KEY, firstRegister);
    if (expr.data !== undefined) writer.u32Be(nft.NFTA_DYNSET_SREG_DATA, dataRegister);
  });
}

function writeImmediate(writer: MessageWriter, register: number, data: Buffer): void {
  expression(writer, 'immediate', () => {
    writer.u32Be(nft.NFTA_IMMEDIATE_DREG, register);
    writer.nested(nft.NFTA_IMMEDIATE_DATA, () => writer.attribute(nft.NFTA_DATA_VALUE, data));
  });
}

function writeImmediateVerdict(writer: MessageWriter, verdict: Verdict): void {
  expression(writer, 'immediate', () => {
    writer.u32Be(nft.NFTA_IMMEDIATE_DREG, nft.NFT_REG_VERDICT);
    writer.nested(nft.NFTA_IMMEDIATE_DATA, () => writeVerdict(writer, verdict));
  });
}

const verdictCodes: Readonly<Record<Verdict['kind'], number>> = {
  accept: nft.NF_ACCEPT,
  drop: nft.NF_DROP,
  continue: nft.NFT_CONTINUE,
  return: nft.NFT_RETURN,
  jump: nft.NFT_JUMP,
  goto: nft.NFT_GOTO,
};

/** NFTA_DATA_VERDICT, as a rule's end or an element's data. */
export function writeVerdict(writer: MessageWriter, verdict: Verdict): void {
  writer.nested(nft.NFTA_DATA_VERDICT, () => {
    writer.u32Be(nft.NFTA_VERDICT_CODE, verdictCodes[verdict.kind]);
    if ('chain' in verdict) writer.text(nft.NFTA_VERDICT_CHAIN, verdict.chain);
  });
}

/** TCP gets a reset (the rule asks for TCP by then), the rest a port-unreachable of its network protocol. */
function writeReject(context: RuleContext): void {
  const { writer, family } = context;
  const [type, code] = rejections[context.rejectsTcp ? 'tcp' : family];
  expression(writer, 'reject', () => {
    writer.u32Be(nft.NFTA_REJECT_TYPE, type);
    if (type !== nft.NFT_REJECT_TCP_RST) writer.u8(nft.NFTA_REJECT_ICMP_CODE, code);
  });
}

const rejections: Readonly<Record<Family | 'tcp', readonly [type: number, code: number]>> = {
  tcp: [nft.NFT_REJECT_TCP_RST, 0],
  ip: [nft.NFT_REJECT_ICMP_UNREACH, nft.ICMP_PORT_UNREACH],
  ip6: [nft.NFT_REJECT_ICMP_UNREACH, nft.ICMPV6_PORT_UNREACH],
  inet: [nft.NFT_REJECT_ICMPX_UNREACH, nft.NFT_REJECT_ICMPX_PORT_UNREACH],
  bridge: [nft.NFT_REJECT_ICMPX_UNREACH, nft.NFT_REJECT_ICMPX_PORT_UNREACH],
};
