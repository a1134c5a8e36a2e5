import { invalid, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow } from '#api/validation/rules/rule-table.fixture.ts';

const v = 'spec.volumes[0]';

/** Rows of files of keys at a source. */
export function keyRows(path: string, name: string, isProjected: boolean): readonly RuleRow[] {
  const item = `${path}.items[0]`;
  const beside = { [`${path}.${name}`]: 'n' };
  return [
    ruleAt(`${path}.${name}`, 'there', { passes: 'n', fails: '' }, 'Required value'),
    ruleAt(`${item}.key`, 'there', { passes: 'k', fails: '' }, 'Required value', {
      ...beside,
      [`${item}.path`]: 'f',
    }),
    ruleAt(`${item}.path`, 'there', { passes: 'f', fails: '' }, 'Required value', {
      ...beside,
      [`${item}.key`]: 'k',
    }),
    ruleAt(
      `${item}.path`,
      'within the volume',
      { fails: '/../f' },
      [
        `${item}.path: Invalid value: "/../f": must be a relative path`,
        `${item}.path: Invalid value: "/../f": must not contain '..'`,
      ],
      { ...beside, [`${item}.key`]: 'k' },
    ),
    ruleAt(
      `${item}.path`,
      'none of the kubelet',
      { passes: 'a/..f', fails: '..f' },
      invalid('..f', "must not start with '..'"),
      { ...beside, [`${item}.key`]: 'k' },
    ),
    ruleAt(`${item}.mode`, 'permission bits', { passes: 0o777, fails: 0o1000 }, invalid(0o1000, says.mode), {
      ...beside,
      [item]: { key: 'k', path: 'f' },
    }),
    ...(isProjected
      ? []
      : [
          ruleAt(
            `${path}.defaultMode`,
            'permission bits',
            { passes: 0, fails: -1 },
            invalid(-1, says.mode),
            beside,
          ),
        ]),
  ];
}

export function podFileRows(path: string): readonly RuleRow[] {
  const item = `${path}.items[0]`;
  const field = { path: 'f', fieldRef: { fieldPath: 'metadata.name' } };
  const amount = { path: 'f', resourceFieldRef: { containerName: 'c', resource: 'limits.cpu' } };
  return [
    ruleAt(`${item}.path`, 'there', { passes: 'f', fails: '' }, [`${path}.path: Required value`], {
      [item]: field,
    }),
    ruleAt(
      `${item}.path`,
      'none of the kubelet',
      { fails: '..f' },
      [`${path}.path: Invalid value: "..f": must not start with '..'`],
      { [item]: field },
    ),
    ruleAt(item, 'one of two', { passes: field, fails: { path: 'f' } }, [
      `${path}: Required value: one of fieldRef and resourceFieldRef is required`,
    ]),
    ruleAt(item, 'not both', { fails: { ...field, ...amount } }, [
      `${path}: Invalid value: "resource": fieldRef and resourceFieldRef can not be specified simultaneously`,
    ]),
    ruleAt(
      `${item}.fieldRef.fieldPath`,
      'of those that a file may show',
      { passes: 'metadata.labels', fails: 'status.podIP' },
      [
        `${path}.fieldRef.fieldPath: Unsupported value: "status.podIP": supported values: "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"`,
      ],
      { [item]: field },
    ),
    ruleAt(
      `${item}.fieldRef.apiVersion`,
      'v1',
      { passes: 'v1', fails: 'v2' },
      [
        `${path}.fieldRef.fieldPath: Invalid value: "metadata.name": error converting fieldPath: unsupported pod version: v2`,
      ],
      { [item]: field },
    ),
    ruleAt(
      `${item}.resourceFieldRef.containerName`,
      'there',
      { passes: 'c', fails: '' },
      [`${path}.resourceFieldRef.containerName: Required value`],
      { [item]: amount },
    ),
    ruleAt(
      `${item}.resourceFieldRef.resource`,
      'there',
      { fails: '' },
      [`${path}.resourceFieldRef.resource: Required value`],
      { [item]: amount },
    ),
    ruleAt(
      `${item}.resourceFieldRef.divisor`,
      'of cpu',
      { passes: '1', fails: '10' },
      [
        `${path}.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`,
      ],
      { [item]: amount },
    ),
    ruleAt(
      `${item}.mode`,
      'permission bits',
      { passes: 0, fails: 512 },
      [`${path}.mode: Invalid value: 512: ${says.mode}`],
      { [item]: field },
    ),
  ];
}

const p = `${v}.projected`;
const s = `${p}.sources[0]`;

/** Rows of projected volumes. */
export const projectedRows: readonly RuleRow[] = [
  ruleAt(`${p}.defaultMode`, 'permission bits', { passes: 0o600, fails: 512 }, invalid(512, says.mode)),
  ...keyRows(`${s}.configMap`, 'name', true),
  ...keyRows(`${s}.secret`, 'name', true),
  ...podFileRows(`${s}.downwardAPI`),
  ruleAt(
    `${p}.sources`,
    'each path once',
    {
      passes: [{ secret: { name: 's', items: [{ key: 'k', path: 'f' }] } }],
      fails: ['m', 'n'].map((name) => ({ configMap: { name, items: [{ key: 'k', path: 'f' }] } })),
    },
    [`${p}: Invalid value: "n": conflicting duplicate paths`],
  ),
  ruleAt(
    s,
    'one kind',
    { passes: {}, fails: { secret: { name: 's' }, configMap: { name: 's' } } },
    'Forbidden: may not specify more than 1 volume type per source',
  ),
  ruleAt(`${s}.serviceAccountToken.path`, 'there', { passes: 't', fails: '' }, [`${p}.path: Required value`]),
  ruleAt(`${s}.serviceAccountToken.path`, 'within the volume', { fails: '/t' }, [
    `${p}.path: Invalid value: "/t": must be a relative path`,
  ]),
  ruleAt(
    `${s}.serviceAccountToken.expirationSeconds`,
    'ten minutes',
    { passes: 600, fails: 599 },
    invalid(599, 'may not specify a duration less than 10 minutes'),
    { [`${s}.serviceAccountToken.path`]: 't' },
  ),
  ruleAt(
    `${s}.serviceAccountToken.expirationSeconds`,
    'no more than 2^32 seconds',
    { passes: 2 ** 32, fails: 2 ** 32 + 1 },
    invalid(2 ** 32 + 1, 'may not specify a duration larger than 2^32 seconds'),
    { [`${s}.serviceAccountToken.path`]: 't' },
  ),
];
