import { invalid, ruleAt } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow } from '#api/validation/rules/rule-table.fixture.ts';

/** The row as one of an update, of a pod that has what is beside it. */
function changing(from: Edits, row: RuleRow, subresource?: string): RuleRow {
  return { ...row, from, ...(subresource === undefined ? {} : { subresource }) };
}

const fixed =
  'spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)…';
const gated: Edits = { 'spec.schedulingGates': [{ name: 'g' }], 'spec.nodeSelector': { a: 'b' } };
const terms = 'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms';
const expression = { key: 'a', operator: 'Exists' };
const mirror = { 'metadata.annotations': { 'kubernetes.io/config.mirror': 'x' }, 'spec.nodeName': 'n' };

const mainRows: readonly RuleRow[] = [
  changing(
    {},
    ruleAt('spec.containers[0].image', 'may change', { passes: 'j', fails: '' }, [
      'spec.containers[0].image: Required value',
      'spec.containers[0].image: Required value',
    ]),
  ),
  changing(
    {},
    ruleAt(
      'spec.containers',
      'as many as before',
      {
        fails: [
          { name: 'c', image: 'i' },
          { name: 'd', image: 'i' },
        ],
      },
      ['spec.containers: Forbidden: pod updates may not add or remove containers'],
    ),
  ),
  changing({}, ruleAt('spec.containers[0].command', 'stays', { fails: ['x'] }, [fixed])),
  changing(
    { 'spec.activeDeadlineSeconds': 5 },
    ruleAt(
      'spec.activeDeadlineSeconds',
      'may come nearer',
      { passes: 4, fails: 6 },
      invalid(6, 'must be less than or equal to previous value'),
    ),
  ),
  changing(
    { 'spec.activeDeadlineSeconds': 5 },
    ruleAt(
      'spec.activeDeadlineSeconds',
      'stays',
      { fails: undefined },
      'Invalid value: null: must not update from a positive integer to nil value',
    ),
  ),
  changing(
    { 'spec.tolerations': [{ key: 'a', operator: 'Exists' }] },
    {
      ...ruleAt('spec.tolerations[0].key', 'stays', { fails: 'b' }, [
        'spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds',
      ]),
      passes: {},
    },
  ),
  changing(
    { 'spec.terminationGracePeriodSeconds': -1 },
    ruleAt(
      'spec.terminationGracePeriodSeconds',
      'stays, but for what was negative',
      { passes: 1, fails: 2 },
      [fixed],
    ),
  ),
  changing(
    gated,
    ruleAt('spec.schedulingGates', 'may only go', { passes: [], fails: [{ name: 'g' }, { name: 'h' }] }, [
      "spec.schedulingGates[1].name: Forbidden: only deletion is allowed, but found new scheduling gate 'h'",
    ]),
  ),
  changing(
    gated,
    ruleAt(
      'spec.nodeSelector',
      'may grow while gated',
      { passes: { a: 'b', c: 'd' }, fails: { c: 'd' } },
      invalid({ c: 'd' }, 'only additions to spec.nodeSelector are allowed (no mutations or deletions)'),
    ),
  ),
  changing(
    { ...gated, [`${terms}[0].matchExpressions`]: [expression] },
    ruleAt(
      terms,
      'as many while gated',
      { fails: [{ matchExpressions: [expression] }, {}] },
      'Invalid value: [{"MatchExpressions":[{"Key":"a","Operator":"Exists","Values":null}],"MatchFields":null},{"MatchExpressions":null,"MatchFields":null}]: no additions/deletions to non-empty NodeSelectorTerms list are allowed',
    ),
  ),
  changing(
    { ...gated, [`${terms}[0].matchExpressions`]: [expression] },
    ruleAt(
      `${terms}[0].matchExpressions`,
      'may grow while gated',
      { passes: [expression, { key: 'b', operator: 'Exists' }], fails: [{ key: 'b', operator: 'Exists' }] },
      [
        `${terms}[0]: Invalid value: {"MatchExpressions":[{"Key":"b","Operator":"Exists","Values":null}],"MatchFields":null}: only additions are allowed (no mutations or deletions)`,
      ],
    ),
  ),
  changing(mirror, {
    ...ruleAt('metadata.annotations', 'of a mirror stays', { fails: {} }, [
      'metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not remove or update mirror pod annotation',
    ]),
    passes: {},
  }),
  changing(
    {},
    {
      ...ruleAt(
        'metadata.annotations',
        'of AppArmor does not come',
        { fails: { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' } },
        [
          'metadata.annotations[container.apparmor.security.beta.kubernetes.io/c]: Forbidden: may not add AppArmor annotations',
        ],
      ),
      passes: {},
    },
  ),
];

const e = 'spec.ephemeralContainers[0]';
const debug = { name: 'e', image: 'i', imagePullPolicy: 'Always', terminationMessagePolicy: 'File' };

const ephemeralRows: readonly RuleRow[] = [
  {
    field: 'spec.ephemeralContainers',
    rule: 'none of a new pod',
    fails: { [e]: debug },
    message: 'spec.ephemeralContainers: Forbidden: cannot be set on create',
  },
  ...[
    changing(
      {},
      ruleAt(
        `${e}.name`,
        'another than of the containers',
        { passes: 'f', fails: 'c' },
        'Duplicate value: "c"',
        { [e]: debug },
      ),
    ),
    changing(
      {},
      ruleAt(
        `${e}.image`,
        'without blanks around it',
        { passes: 'j', fails: 'i ' },
        invalid('i ', 'must not have leading or trailing whitespace'),
        { [e]: debug },
      ),
    ),
    changing(
      {},
      ruleAt(`${e}.targetContainerName`, 'of a container', { passes: 'c', fails: 'x' }, 'Not found: "x"', {
        [e]: debug,
      }),
    ),
    ...Object.entries({
      ports: [{ containerPort: 1, protocol: 'TCP' }],
      resources: { limits: { cpu: '1' }, requests: { cpu: '1' } },
      livenessProbe: { exec: { command: ['a'] } },
      readinessProbe: { exec: { command: ['a'] } },
      startupProbe: { exec: { command: ['a'] } },
      lifecycle: { preStop: { exec: { command: ['a'] } } },
      restartPolicy: 'Always',
      restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [1] } }],
      resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'NotRequired' }],
    }).map(([name, value]) =>
      changing(
        {},
        ruleAt(
          `${e}.${name}`,
          'none',
          { passes: undefined, fails: value },
          'Forbidden: cannot be set for an Ephemeral Container',
          { [e]: debug },
        ),
      ),
    ),
    changing(
      { 'spec.volumes': [{ name: 'v', emptyDir: {} }] },
      ruleAt(
        `${e}.volumeMounts[0].subPath`,
        'none',
        { passes: '', fails: 'a' },
        'Forbidden: cannot be set for an Ephemeral Container',
        { [e]: debug, [`${e}.volumeMounts[0]`]: { name: 'v', mountPath: '/v' } },
      ),
    ),
  ].map((row) => ({ ...row, subresource: 'ephemeralcontainers' })),
];

const amounts = { requests: { cpu: '1' }, limits: { cpu: '2' } };
const r = 'spec.containers[0].resources';
const resized: Edits = {
  [r]: amounts,
  'spec.initContainers[0]': { name: 'i', image: 'i', resources: amounts },
};

const resizeRows: readonly RuleRow[] = [
  ruleAt(`${r}.limits`, 'may change', { passes: { cpu: '3' }, fails: {} }, [
    `${r}.limits: Forbidden: resource limits cannot be removed`,
  ]),
  ruleAt('spec.initContainers[0].resources.limits', 'may change', { passes: { cpu: '3' }, fails: {} }, [
    'spec.initContainers[0].resources.limits: Forbidden: resource limits cannot be removed',
  ]),
  ruleAt(`${r}.limits`, 'of cpu and memory', { fails: { cpu: '2', 'ephemeral-storage': '1Gi' } }, [
    'spec: Forbidden: only cpu and memory resources are mutable',
  ]),
  ruleAt(
    'spec.initContainers[0].resources.limits',
    'of cpu and memory',
    { fails: { cpu: '2', 'ephemeral-storage': '1Gi' } },
    [
      'spec.initContainers[0]: Forbidden: only cpu and memory resources for init or sidecar containers are mutable',
    ],
  ),
  ruleAt(
    'spec.containers[0].name',
    'stays',
    { fails: 'd' },
    'Forbidden: containers may not be renamed or reordered on resize',
  ),
  ruleAt('spec.containers[1]', 'does not come', { fails: { name: 'd', image: 'i' } }, [
    'spec.containers: Forbidden: containers may not be added or removed on resize',
  ]),
  ruleAt('spec.containers', 'do not go', { fails: [] }, [
    'spec.containers: Required value',
    'spec.containers: Forbidden: containers may not be added or removed on resize',
  ]),
  ruleAt(
    'spec.resources',
    'nothing else of the whole',
    { passes: { limits: { cpu: '9' } }, fails: { limits: { 'hugepages-2Mi': '2Mi', cpu: '4' } } },
    ['spec: Forbidden: only cpu and memory resources are mutable at pod-level'],
  ),
].map((row) => changing(resized, row, 'resize'));

const running = [{ name: 'c', state: { running: {} } }];

const statusRows: readonly RuleRow[] = [
  changing(
    {},
    ruleAt('status.qosClass', 'stays', { fails: 'Guaranteed' }, invalid('Guaranteed', 'field is immutable')),
  ),
  changing(
    {},
    ruleAt(
      'status.conditions',
      'types',
      { passes: [{ type: 'a.b/C', status: 'True' }], fails: [{ type: 'a b', status: 'True' }] },
      ['status.conditions[0].Type: Invalid value: "a b": name part must consist of…'],
    ),
  ),
  changing(
    {},
    ruleAt(
      'status.observedGeneration',
      'not negative',
      { passes: 1, fails: -1 },
      invalid(-1, 'must be a non-negative integer'),
    ),
  ),
  changing(
    {},
    ruleAt('status.nominatedNodeName', 'a name', { passes: 'n', fails: 'N' }, [
      'status.nominatedNodeName: Invalid value: "N": a lowercase RFC 1123 subdomain…',
    ]),
  ),
  changing(
    { 'spec.nodeName': 'm' },
    ruleAt(
      'status.nominatedNodeName',
      'not of a bound pod',
      { fails: 'n' },
      'Forbidden: may not be set on pods that are already bound to a node',
    ),
  ),
  changing(
    {},
    ruleAt(
      'status.podIPs',
      'addresses',
      { passes: [{ ip: '1.2.3.4' }, { ip: '::1' }], fails: [{ ip: 'x' }] },
      ['status.podIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
    ),
  ),
  changing(
    {},
    ruleAt(
      'status.podIPs',
      'one of a family',
      { fails: [{ ip: '1.2.3.4' }, { ip: '1.2.3.5' }] },
      'Invalid value: [{"IP":"1.2.3.4"},{"IP":"1.2.3.5"}]: may specify no more than one IP for each IP family',
    ),
  ),
  changing(
    {},
    ruleAt(
      'status.hostIPs',
      'first as hostIP',
      { passes: [{ ip: '1.2.3.4' }], fails: [{ ip: '1.2.3.5' }] },
      ['status.hostIPs[0].ip: Invalid value: "1.2.3.5": must be equal to `hostIP`'],
      { 'status.hostIP': '1.2.3.4' },
    ),
  ),
  changing(
    { 'spec.restartPolicy': 'OnFailure' },
    {
      field: 'status.containerStatuses',
      rule: 'may run',
      passes: { 'status.containerStatuses': running },
      fails: { 'status.qosClass': 'X' },
      message: 'status.qosClass: Invalid value: "X": field is immutable',
    },
  ),
  changing(
    {},
    ruleAt(
      'status.resourceClaimStatuses',
      'of claims',
      { passes: [{ name: 'c', resourceClaimName: 'x' }], fails: [{ name: 'd' }] },
      [
        'status.resourceClaimStatuses[0].name: Invalid value: "d": must match the name of an entry in `spec.resourceClaims`',
      ],
    ),
  ),
  changing(
    {},
    ruleAt(
      'status.containerStatuses',
      'users',
      {
        passes: [{ name: 'c', user: { linux: { uid: 0, gid: 0 } } }],
        fails: [{ name: 'c', user: { linux: { uid: -1, gid: 0 } } }],
      },
      [
        'status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive',
      ],
    ),
  ),
  changing(
    {},
    ruleAt(
      'status.containerStatuses',
      'health of what was asked for',
      {
        fails: [
          {
            name: 'c',
            allocatedResourcesStatus: [{ name: 'x', resources: [{ resourceID: 'a', health: 'X' }] }],
          },
        ],
      },
      [
        'status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "x": must match one of the container\'s resource requests',
        'status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported value: "X": supported values: "Healthy", "Unhealthy", "Unknown"',
      ],
    ),
  ),
  changing(
    {},
    ruleAt(
      'status.extendedResourceClaimStatus',
      'some mappings',
      { fails: { resourceClaimName: 'x', requestMappings: [] } },
      [
        'status.extendedResourceClaimStatus.requestMappings: Required value: at least one request mapping is required',
      ],
    ),
  ),
]
  .map((row) =>
    row.field === 'status.resourceClaimStatuses'
      ? { ...row, from: { 'spec.resourceClaims': [{ name: 'c', resourceClaimName: 'x' }] } }
      : row,
  )
  .map((row) => ({ ...row, subresource: 'status' }));

export const updateRows: readonly RuleRow[] = [...mainRows, ...ephemeralRows, ...resizeRows, ...statusRows];
