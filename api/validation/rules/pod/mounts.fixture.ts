import { invalid, ruleAt } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow } from '#api/validation/rules/rule-table.fixture.ts';

const c = 'spec.containers[0]';
/** Beside what is looked at: a volume, and one of a claim. */
export const volume: Edits = { 'spec.volumes': [{ name: 'v', emptyDir: {} }] };
export const claim: Edits = { 'spec.volumes': [{ name: 'v', persistentVolumeClaim: { claimName: 'x' } }] };
const mount = `${c}.volumeMounts[0]`;
const device = `${c}.volumeDevices[0]`;
const both = { name: 'v', mountPath: '/m' };

/** Rows of what a container mounts. */
export const mountRows: readonly RuleRow[] = [
  ruleAt(
    `${mount}.name`,
    'there',
    { passes: 'v', fails: '' },
    [`${mount}.name: Required value`, `${mount}.name: Not found: ""`],
    { ...volume, [mount]: both },
  ),
  ruleAt(`${mount}.name`, 'of a volume', { fails: 'w' }, 'Not found: "w"', { ...volume, [mount]: both }),
  ruleAt(`${mount}.mountPath`, 'there', { passes: '/x', fails: '' }, 'Required value', {
    ...volume,
    [mount]: both,
  }),
  ruleAt(
    `${c}.volumeMounts`,
    'each path once',
    { passes: [both, { name: 'v', mountPath: '/n' }], fails: [both, both] },
    [`${c}.volumeMounts[1].mountPath: Invalid value: "/m": must be unique`],
    volume,
  ),
  ruleAt(
    mount,
    'no device',
    { fails: both },
    [
      `${mount}.name: Invalid value: "v": must not already exist in volumeDevices`,
      `${mount}.mountPath: Invalid value: "/m": must not already exist as a path in volumeDevices`,
      `${device}.name: Invalid value: "v": must not already exist in volumeMounts`,
      `${device}.devicePath: Invalid value: "/m": must not already exist as a path in volumeMounts`,
    ],
    { ...claim, [device]: { name: 'v', devicePath: '/m' } },
  ),
  ruleAt(
    `${mount}.subPath`,
    'within the volume',
    { passes: 'a/..b', fails: '/../b' },
    [
      `${c}.volumeMounts.subPath: Invalid value: "/../b": must be a relative path`,
      `${c}.volumeMounts.subPath: Invalid value: "/../b": must not contain '..'`,
    ],
    { ...volume, [mount]: both },
  ),
  ruleAt(
    `${mount}.subPathExpr`,
    'within the volume',
    { passes: '$(A)', fails: '..' },
    [`${c}.volumeMounts.subPathExpr: Invalid value: "..": must not contain '..'`],
    { ...volume, [mount]: both },
  ),
  ruleAt(
    `${mount}.subPathExpr`,
    'not beside subPath',
    { fails: 'b' },
    invalid('b', 'subPathExpr and subPath are mutually exclusive'),
    { ...volume, [mount]: { ...both, subPath: 'a' } },
  ),
  ruleAt(
    `${mount}.mountPropagation`,
    'one of three',
    { passes: 'HostToContainer', fails: 'X' },
    [
      `${c}.volumeMounts.mountPropagation: Unsupported value: "X": supported values: "Bidirectional", "HostToContainer", "None"`,
    ],
    { ...volume, [mount]: both },
  ),
  ruleAt(
    `${mount}.mountPropagation`,
    'both ways only with privileges',
    { fails: 'Bidirectional' },
    [
      `${c}.volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`,
    ],
    { ...volume, [mount]: both },
  ),
  ruleAt(
    `${mount}.recursiveReadOnly`,
    'one of three',
    { passes: 'Disabled', fails: 'X' },
    [
      `${c}.volumeMounts.recursiveReadOnly: Unsupported value: "X": supported values: "Disabled", "Enabled", "IfPossible"`,
    ],
    { ...volume, [mount]: both },
  ),
  ruleAt(
    `${mount}.recursiveReadOnly`,
    'of what is read-only',
    { fails: 'Enabled' },
    [`${c}.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true`],
    { ...volume, [mount]: both },
  ),
  ruleAt(
    `${mount}.recursiveReadOnly`,
    'of what is not shared',
    { passes: undefined, fails: 'IfPossible' },
    [
      `${c}.volumeMounts.recursiveReadOnly: Forbidden: may only be specified when mountPropagation is None or not specified`,
    ],
    { ...volume, [mount]: { ...both, readOnly: true, mountPropagation: 'HostToContainer' } },
  ),
  ruleAt(`${device}.name`, 'of a claim', { passes: 'v', fails: 'w' }, 'Not found: "w"', {
    ...claim,
    [`${device}.devicePath`]: '/d',
  }),
  ruleAt(
    device,
    'of nothing else',
    { fails: { name: 'v', devicePath: '/d' } },
    [
      `${device}.name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode`,
    ],
    volume,
  ),
  ruleAt(`${device}.devicePath`, 'there', { passes: '/d', fails: '' }, 'Required value', {
    ...claim,
    [`${device}.name`]: 'v',
  }),
  ruleAt(
    `${device}.devicePath`,
    'without steps up',
    { fails: '/a/..' },
    invalid('/a/..', "can not contain backsteps ('..')"),
    { ...claim, [`${device}.name`]: 'v' },
  ),
];
