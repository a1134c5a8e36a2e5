/** nft values as the text that `nft -f` reads and `nft list ruleset` prints, for plans, golden tests and error messages. */
import { unreachable } from '#base/unreachable.ts';

import { formatAddress } from '#native/netlink/address.ts';
import { loadFacts, prefixMask, splitReject, type PlainRule } from './loads.ts';
import type {
  Family,
  NftChain,
  NftCounter,
  NftElement,
  NftExpr,
  NftLoad,
  NftOp,
  NftSet,
  NftTable,
  NftValue,
  TableRef,
  Verdict,
} from './nft.ts';
import { dataValueTypes, keyValueTypes } from './set-layout.ts';
import { renderValue, typeFacts, type ValueType } from './values.ts';

/** A whole table; chains and rules in order, sets and elements in order of their text. */
export function renderTable(table: NftTable): string {
  const sets = table.sets.map((set) => renderSet(set, table.elements[set.name] ?? [])).sort();
  const chains = table.chains.map((chain) => renderChain(table.family, chain, chain.rules));
  const counters = (table.counters ?? []).map(renderCounter).sort();
  const parts = [...counters, ...sets, ...chains].join('\n\n');
  return [`table ${table.family} ${table.name} {`, parts, '}'].join('\n');
}

/** One change as an nft command; `replaceTable` as the table it makes. */
export function renderNftOp(op: NftOp): string {
  const place = (table: TableRef): string => `${table.family} ${table.name}`;
  switch (op.op) {
    case 'replaceTable':
      return `replace ${renderTable(op.table)}`;
    case 'ensureTable':
      return `add table ${place(op.table)}`;
    case 'removeTable':
      return `destroy table ${place(op.table)}`;
    case 'addSet':
      return `add ${setKind(op.set)} ${place(op.table)} ${op.set.name} { ${setBody(op.set).join('; ')}; }`;
    case 'removeSet':
      return `delete set ${place(op.table)} ${op.name}`;
    case 'addCounter':
      return `add counter ${place(op.table)} ${op.counter.name}`;
    case 'removeCounter':
      return `delete counter ${place(op.table)} ${op.name}`;
    case 'addChain': {
      const body = op.chain.hook === undefined ? '' : ` { ${renderHook(op.chain)} }`;
      return `add chain ${place(op.table)} ${op.chain.name}${body}`;
    }
    case 'flushChain':
      return `flush chain ${place(op.table)} ${op.name}`;
    case 'removeChain':
      return `delete chain ${place(op.table)} ${op.name}`;
    case 'addRule':
      return splitReject(op.rule)
        .map((rule) => `add rule ${place(op.table)} ${op.chain} ${renderPlainRule(op.table.family, rule)}`)
        .join('\n');
    case 'addElements':
    case 'removeElements': {
      const isAdding = op.op === 'addElements';
      const elements = op.elements.map((element) => renderElement(op.set, element, isAdding));
      const verb = isAdding ? 'add' : 'delete';
      return `${verb} element ${place(op.table)} ${op.set.name} { ${elements.sort().join(', ')} }`;
    }
    default:
      return unreachable(op);
  }
}

const renderCounter = ({ name, packets, bytes }: NftCounter): string =>
  [`\tcounter ${name} {`, `\t\tpackets ${packets} bytes ${bytes}`, '\t}'].join('\n');

const setKind = (set: NftSet): string => (set.dataTypes === undefined ? 'set' : 'map');

function renderSet(set: NftSet, elements: readonly NftElement[]): string {
  const items = elements.map((element) => renderElement(set, element, true)).sort();
  const contents = items.length === 0 ? [] : [`elements = { ${items.join(',\n\t\t\t     ')} }`];
  const body = [...setBody(set), ...contents].map((line) => `\t\t${line}`);
  return [`\t${setKind(set)} ${set.name} {`, ...body, '\t}'].join('\n');
}

function setBody(set: NftSet): readonly string[] {
  const names = (types: readonly ValueType[]): string =>
    types.map((type) => typeFacts[type].nftName).join(' . ');
  const data = dataValueTypes(set);
  const dataText = set.dataTypes === undefined ? '' : ` : ${data === undefined ? 'verdict' : names(data)}`;
  const flags = [
    set.interval === true ? 'interval' : [],
    set.dynamic === undefined ? [] : ['dynamic', 'timeout'],
  ];
  const flagText = flags.flat().join(',');
  return [
    `type ${names(keyValueTypes(set))}${dataText}`,
    ...(flagText === '' ? [] : [`flags ${flagText}`]),
    ...(set.dynamic === undefined ? [] : [`timeout ${renderDuration(set.dynamic.timeoutMs)}`]),
  ];
}

function renderElement(set: NftSet, element: NftElement, withData: boolean): string {
  const key = concatenation(keyValueTypes(set), element.key);
  if (!withData) return key;
  const timeout = element.timeoutMs === undefined ? '' : ` timeout ${renderDuration(element.timeoutMs)}`;
  return `${key}${timeout}${renderData(set, element)}`;
}

function renderData(set: NftSet, element: NftElement): string {
  const { data } = element;
  if (data === undefined) return '';
  return ` : ${'kind' in data ? renderVerdict(data) : concatenation(dataValueTypes(set) ?? [], data)}`;
}

function concatenation(types: readonly ValueType[], values: readonly NftValue[]): string {
  return types.map((type, index) => renderValue(type, values[index] ?? '')).join(' . ');
}

/** nft's units, largest first: 3h, 10800s and 1m30s alike in input; printed as it does. */
function renderDuration(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ] as const;
  let rest = ms;
  const parts = units.map(([unit, size]) => {
    const count = Math.floor(rest / size);
    rest -= count * size;
    return count === 0 ? '' : `${count}${unit}`;
  });
  return parts.join('') || '0s';
}

function renderChain(family: Family, chain: NftChain, rules: NftTable['chains'][number]['rules']): string {
  const hook = chain.hook === undefined ? [] : [renderHook(chain)];
  const body = rules.flatMap(splitReject).map((rule) => renderPlainRule(family, rule));
  return [`\tchain ${chain.name} {`, ...[...hook, ...body].map((line) => `\t\t${line}`), '\t}'].join('\n');
}

function renderHook(chain: NftChain): string {
  const { hook } = chain;
  if (hook === undefined) return '';
  const policy = hook.policy ?? 'accept';
  return `type ${hook.type} hook ${hook.hook} priority ${hook.priority}; policy ${policy};`;
}

function renderPlainRule(family: Family, rule: PlainRule): string {
  const exprs = rule.exprs.map((expr) => renderExpression(family, expr, rule.rejectsTcp));
  if (rule.comment !== undefined) exprs.push(`comment "${rule.comment}"`);
  return exprs.join(' ');
}

function renderExpression(family: Family, expr: NftExpr, rejectsTcp: boolean): string {
  switch (expr.expr) {
    case 'match':
      return renderMatch(expr);
    case 'lookup':
      return `${renderKey(expr.key)} ${expr.negate === true ? '!= ' : ''}@${expr.set}`;
    case 'vmap':
      return `${renderKey(expr.key)} vmap @${expr.map}`;
    case 'dnat map':
      return `dnat ${natFamily(family, expr.key)} to ${renderKey(expr.key)} map @${expr.map}`;
    case 'dnat':
    case 'snat':
      return renderNat(family, expr);
    case 'masquerade':
      return expr.fullyRandom === true ? 'masquerade fully-random' : 'masquerade';
    case 'redirect':
      return `redirect to :${expr.port}`;
    case 'mark set':
      return `meta mark set ${expr.how === undefined ? '' : `meta mark ${expr.how} `}${renderValue('mark', expr.value)}`;
    case 'update': {
      const data = expr.data === undefined ? '' : ` : ${renderKey(expr.data)}`;
      return `update @${expr.set} { ${renderKey(expr.key)}${data} }`;
    }
    case 'counter':
      return expr.name === undefined ? 'counter' : `counter name "${expr.name}"`;
    case 'notrack':
      return 'notrack';
    case 'reject':
      return rejectsTcp ? 'reject with tcp reset' : rejectText[family];
    case 'verdict':
      return renderVerdict(expr.verdict);
    default:
      return unreachable(expr);
  }
}

const rejectText: Readonly<Record<Family, string>> = {
  ip: 'reject with icmp port-unreachable',
  ip6: 'reject with icmpv6 port-unreachable',
  inet: 'reject with icmpx port-unreachable',
  bridge: 'reject with icmpx port-unreachable',
};

function renderMatch(expr: Extract<NftExpr, { readonly expr: 'match' }>): string {
  const { type } = loadFacts(expr.left);
  const right = renderValue(type, expr.right);
  const not = expr.op === '!=' ? '!= ' : '';
  if (expr.mask === undefined) return `${renderLoad(expr.left)} ${not}${right}`;
  const op = expr.op === '!=' ? '!=' : '==';
  if (typeFacts[type].isBitmask === true) {
    const bits = renderValue(type, expr.mask).replaceAll(',', ' | ');
    return `${renderLoad(expr.left)} & (${bits}) ${op} ${right}`;
  }
  return `${renderLoad(expr.left)} and ${renderValue(type, expr.mask)} ${op} ${right}`;
}

/** The family is said where the table has several, and where nft asks for it: before a map of addresses and ports. */
function natFamily(family: Family, key: readonly NftLoad[]): 'ip' | 'ip6' {
  if (family === 'ip' || family === 'ip6') return family;
  return key.some((load) => load.load.startsWith('ip6 ')) ? 'ip6' : 'ip';
}

function renderNat(family: Family, expr: Extract<NftExpr, { readonly expr: 'dnat' | 'snat' }>): string {
  const isIpv6 = expr.address.includes(':');
  const address = isIpv6 && expr.port !== undefined ? `[${expr.address}]` : expr.address;
  const port = expr.port === undefined ? '' : `:${expr.port}`;
  const network = family === 'ip' || family === 'ip6' ? '' : isIpv6 ? 'ip6 ' : 'ip ';
  return `${expr.expr} ${network}to ${address}${port}`;
}

const renderKey = (loads: readonly NftLoad[]): string => loads.map(renderLoad).join(' . ');

function renderLoad(load: NftLoad): string {
  if ('prefixLength' in load && load.prefixLength !== undefined) {
    return `${load.load} & ${renderMask(load.load.startsWith('ip6') ? 16 : 4, load.prefixLength)}`;
  }
  if ('modulus' in load) return `${load.load} mod ${load.modulus}`;
  return load.load.startsWith('meta iif') || load.load.startsWith('meta oif')
    ? load.load.slice(5)
    : load.load;
}

const renderMask = (bytes: number, length: number): string => formatAddress(prefixMask(bytes, length));

function renderVerdict(verdict: Verdict): string {
  return 'chain' in verdict ? `${verdict.kind} ${verdict.chain}` : verdict.kind;
}
