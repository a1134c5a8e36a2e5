/** A plan against a cluster, for people. Pure. */
import type { Landing, WhatIf } from './observed.ts';

export function renderWhatIf({ objects, pods, claims }: WhatIf): string {
  const refused = objects.flatMap(({ object, refusal, note }) =>
    refusal === undefined && note === undefined
      ? []
      : [[object, refusal === undefined ? 'note' : 'refused', refusal ?? note ?? '']],
  );
  const bound = claims.map(({ claim, volume }) => [
    `PersistentVolumeClaim ${claim}`,
    'binds',
    volume ?? 'a new volume',
  ]);
  const rows = [...refused, ...bound, ...pods.map(rowOf)];
  const counts = (['lands', 'waits', 'refused'] as const).map(
    (result) => `${pods.filter((pod) => pod.result === result).length} ${words[result]}`,
  );
  const refusals = objects.filter(({ refusal }) => refusal !== undefined).length;
  const evicted = pods.flatMap((pod) => (pod.result === 'lands' ? pod.evicts : [])).length;
  const summary = `${pods.length} pods: ${counts.join(', ')}; ${evicted} evicted${refusals === 0 ? '' : `; ${refusals} objects refused`}`;
  return [...tableOf([['OBJECT', 'RESULT', 'WHERE OR WHY'], ...rows]), '', summary, ''].join('\n');
}

const words = { lands: 'land', waits: 'wait', refused: 'refused' } as const;

function rowOf(landing: Landing): readonly string[] {
  const name = `Pod ${landing.pod}`;
  if (landing.result !== 'lands') return [name, landing.result, landing.reason];
  const { node, evicts, claims } = landing;
  const more = [
    ...claims.map(
      ({ claim, volume }) =>
        `claim ${claim} ${volume === undefined ? 'gets a new volume' : `binds ${volume}`}`,
    ),
    ...evicts.map(
      ({ pod, breaksBudget, breaksGroup }) =>
        `evicts ${pod}${breaksBudget ? ', against its PodDisruptionBudget' : ''}${breaksGroup === undefined ? '' : `, which leaves PodGroup ${breaksGroup} below its minimum`}`,
    ),
  ];
  return [name, 'lands', [node, ...more].join('; ')];
}

function tableOf(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join('   ')
      .trimEnd(),
  );
}
