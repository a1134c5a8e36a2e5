import { isStopped, type Finding, type Hop, type Trace, type Way } from './observed.ts';

/** A trace for people: the hops in their order, and below each what is wrong there. Pure. */
export function renderTrace(trace: Trace): string {
  const lines = [
    `${trace.from} → ${trace.to}`,
    ...renderHops(trace.hops, '  '),
    ...groupWays(trace.ways).flatMap(({ first, others }) => renderWay(first, others)),
    verdictLine(trace),
  ];
  return `${lines.join('\n')}\n`;
}

/** What lies behind the place where the packet ends is told as well: there may be more to mend. */
function renderHops(hops: readonly Hop[], indent: string): readonly string[] {
  const last = hops.findIndex((one) => isStopped([one]));
  return hops.flatMap((one, index) => renderHop(one, indent, last >= 0 && index > last ? '·' : '✓'));
}

function renderHop({ at, says, findings }: Hop, indent: string, whole: string): readonly string[] {
  const isCut = findings.some(({ stops }) => stops);
  const mark = isCut ? '✗' : findings.length > 0 ? '!' : whole;
  return [
    `${indent}${mark} ${at}: ${says}`,
    ...findings.flatMap((finding) => renderFinding(finding, `${indent}    `)),
  ];
}

function renderFinding({ says, remedy, code }: Finding, indent: string): readonly string[] {
  return [`${indent}${says} [${code}]`, `${indent}→ ${remedy}`];
}

function renderWay(way: Way, others: readonly Way[]): readonly string[] {
  const more = others.length === 0 ? '' : `, and the same ${others.map(({ to }) => to).join(', ')}`;
  return [`  to ${way.to}${more}`, ...renderHops(way.hops, '    ')];
}

/** Ways on which the same is found are told once. */
function groupWays(
  ways: readonly Way[],
): readonly { readonly first: Way; readonly others: readonly Way[] }[] {
  const groups = Map.groupBy(ways, ({ hops }) =>
    JSON.stringify(hops.map(({ findings }) => findings.map(({ code }) => code))),
  );
  return [...groups.values()].flatMap(([first, ...others]) =>
    first === undefined ? [] : [{ first, others }],
  );
}

function verdictLine({ arrives, ways }: Trace): string {
  if (arrives === 'yes') return 'arrives';
  if (arrives === 'no') return 'does not arrive';
  return `arrives at ${ways.filter((way) => way.arrives).length} of ${ways.length} endpoints`;
}
