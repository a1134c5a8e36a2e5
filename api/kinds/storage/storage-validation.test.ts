import { describe, expect, it } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { findKindByName, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { validateCreate, validateUpdate } from '#api/validation/validation.ts';

interface Subject {
  readonly kind: Kind;
  /** One that nothing is said of. */
  readonly healthy: JsonObject;
}

function subjectOf(apiVersion: string, name: string, healthy: JsonObject): Subject {
  return { kind: findKindByName(apiVersion, name) ?? expect.unreachable(), healthy };
}

const subjects = {
  StorageClass: subjectOf('storage.k8s.io/v1', 'StorageClass', { provisioner: 'example.com/p' }),
  VolumeAttributesClass: subjectOf('storage.k8s.io/v1', 'VolumeAttributesClass', {
    driverName: 'example.com',
    parameters: { a: 'b' },
  }),
  CSIDriver: subjectOf('storage.k8s.io/v1', 'CSIDriver', { spec: {} }),
  CSIStorageCapacity: subjectOf('storage.k8s.io/v1', 'CSIStorageCapacity', { storageClassName: 's' }),
  VolumeAttachment: subjectOf('storage.k8s.io/v1', 'VolumeAttachment', {
    spec: { attacher: 'a', nodeName: 'n', source: { persistentVolumeName: 'v' } },
  }),
  ServiceCIDR: subjectOf('networking.k8s.io/v1', 'ServiceCIDR', { spec: { cidrs: ['10.0.0.0/24'] } }),
};

interface Row {
  readonly name: string;
  readonly of: keyof typeof subjects;
  /** What is otherwise than in the healthy one. */
  readonly given: JsonObject;
  readonly want: readonly unknown[];
}

function made({ kind, healthy }: Subject, given: JsonObject): JsonObject {
  const namespace = kind.namespaced ? { namespace: 'n' } : {};
  return { ...applyDefaults(kind, { ...healthy, ...given }), metadata: { name: 'x', ...namespace } };
}

const rendered = (errors: ReturnType<typeof validateCreate>): readonly string[] =>
  errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
const term = (...expressions: readonly JsonObject[]): JsonObject => ({ matchLabelExpressions: expressions });
const large = { a: 'x'.repeat(262_144) };
const many = Object.fromEntries(Array.from({ length: 513 }, (_, index) => [`k${index}`, '']));

const created: readonly Row[] = [
  ...Object.keys(subjects).map((of) => ({
    ...{ name: 'nothing of one as it should be', of: of as keyof typeof subjects, given: {}, want: [] },
  })),
  {
    name: 'no provisioner',
    of: 'StorageClass',
    given: { provisioner: '' },
    want: ['provisioner: Required value'],
  },
  { name: 'nothing of capitals', of: 'StorageClass', given: { provisioner: 'Example.com/P' }, want: [] },
  {
    name: 'a provisioner that is no name',
    of: 'StorageClass',
    given: { provisioner: 'A_/b' },
    want: [
      expect.stringMatching(/^provisioner: Invalid value: "a_\/b": prefix part a lowercase RFC 1123 sub/),
    ],
  },
  {
    name: 'parameters',
    of: 'StorageClass',
    given: { parameters: { '': 'x', ...large } },
    want: [
      'parameters: Invalid value: "": field can not be empty.',
      'parameters: Too long: may not be more than 262144 bytes',
    ],
  },
  {
    name: 'too many parameters',
    of: 'StorageClass',
    given: { parameters: many },
    want: ['parameters: Too long: may not be more than 512 bytes'],
  },
  {
    name: 'a policy that is none of a class',
    of: 'StorageClass',
    given: { reclaimPolicy: 'Recycle' },
    want: ['reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"'],
  },
  {
    name: 'topologies',
    of: 'StorageClass',
    given: {
      allowedTopologies: [
        term({ key: 'z', values: ['a', 'b'] }),
        term({ key: 'z', values: ['b', 'a'] }),
        term({ key: 'y', values: ['a', 'a'] }, { key: 'y', values: ['b'] }),
        term({ key: '-', values: ['a'] }),
      ],
    },
    want: [
      'allowedTopologies[1].matchLabelExpressions: Duplicate value: ""',
      'allowedTopologies[2].matchLabelExpressions[0].values[1]: Duplicate value: "a"',
      'allowedTopologies[2].matchLabelExpressions[1].key: Duplicate value: "y"',
      expect.stringMatching(
        /^allowedTopologies\[3\].matchLabelExpressions\[0\].key: Invalid value: "-": name part/,
      ),
    ],
  },
  {
    name: 'topologies of no values',
    of: 'StorageClass',
    given: { allowedTopologies: [term({ key: 'z', values: [] })] },
    want: ['allowedTopologies[0].matchLabelExpressions[0].values: Required value'],
  },
  {
    name: 'no driver and no parameters',
    of: 'VolumeAttributesClass',
    given: { driverName: '', parameters: {} },
    want: [
      'driverName: Required value',
      'parameters: Required value: must contain at least one key/value pair',
    ],
  },
  {
    name: 'words that it does not know, and numbers out of range',
    of: 'CSIDriver',
    given: {
      spec: {
        fsGroupPolicy: 'Any',
        volumeLifecycleModes: ['Persistent', 'Never'],
        nodeAllocatableUpdatePeriodSeconds: 9,
        tokenRequests: [
          { audience: 'a', expirationSeconds: 599 },
          { audience: 'b', expirationSeconds: 4_294_967_297 },
          { audience: 'a' },
          { audience: '' },
        ],
      },
    },
    want: [
      'spec.fsGroupPolicy: Unsupported value: "Any": supported values: "File", "None", "ReadWriteOnceWithFSType"',
      'spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes',
      'spec.tokenRequests[1].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds',
      'spec.tokenRequests[2].audience: Duplicate value: "a"',
      'spec.volumeLifecycleModes: Unsupported value: "Never": supported values: "Persistent", "Ephemeral"',
      'spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds',
    ],
  },
];

const updated: readonly Row[] = [
  {
    name: 'whether a driver attaches, and how long its volumes live',
    of: 'CSIDriver',
    given: { spec: { attachRequired: false, volumeLifecycleModes: ['Ephemeral'], podInfoOnMount: true } },
    want: [
      'spec.attachedRequired: Invalid value: false: field is immutable',
      'spec.volumeLifecycleModes: Invalid value: ["Ephemeral"]: field is immutable',
    ],
  },
  {
    name: 'what a class is made of',
    of: 'StorageClass',
    given: { provisioner: 'p', parameters: { a: 'b' }, reclaimPolicy: 'Retain', allowVolumeExpansion: true },
    want: [
      'parameters: Forbidden: updates to parameters are forbidden.',
      'provisioner: Forbidden: updates to provisioner are forbidden.',
      'reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.',
    ],
  },
  {
    name: 'what attributes are made of',
    of: 'VolumeAttributesClass',
    given: { driverName: 'd', parameters: { a: 'c' } },
    want: [
      'driverName: Forbidden: updates to driverName are forbidden.',
      'parameters: Forbidden: updates to parameters are forbidden.',
    ],
  },
  {
    name: 'where a capacity is',
    of: 'CSIStorageCapacity',
    given: { storageClassName: 't', nodeTopology: { matchLabels: { a: 'b' } }, capacity: '1Gi' },
    want: [
      'nodeTopology: Invalid value: {"matchLabels":{"a":"b"}}: field is immutable',
      'storageClassName: Invalid value: "t": field is immutable',
    ],
  },
  {
    name: 'what is attached where',
    of: 'VolumeAttachment',
    given: { spec: { attacher: 'a', nodeName: 'm', source: { persistentVolumeName: 'v' } } },
    want: [
      'spec: Invalid value: {"Attacher":"a","Source":{"PersistentVolumeName":"v","InlineVolumeSpec":null},"NodeName":"m"}: field is immutable',
    ],
  },
  {
    name: 'the ranges',
    of: 'ServiceCIDR',
    given: { spec: { cidrs: ['10.0.1.0/24'] } },
    want: ['spec.cidrs[0]: Invalid value: "10.0.1.0/24": field is immutable'],
  },
];

describe('validateCreate()', () => {
  it.each(created)('of a $of says of $name', ({ of, given, want }) => {
    expect(rendered(validateCreate(subjects[of].kind, made(subjects[of], given)))).toEqual(want);
  });
});

describe('validateUpdate()', () => {
  it.each(updated)('of a $of keeps $name', ({ of, given, want }) => {
    const { kind } = subjects[of];
    expect(rendered(validateUpdate(kind, made(subjects[of], {}), made(subjects[of], given)))).toEqual(want);
  });
});
