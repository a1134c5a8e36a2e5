import { invalid, oneOfAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow } from '#api/validation/rules/rule-table.fixture.ts';
import { envRows } from './env.fixture.ts';
import { mountRows } from './mounts.fixture.ts';

const c = 'spec.containers[0]';
const init = 'spec.initContainers[0]';

const port = `${c}.ports[0]`;

const portRows: readonly RuleRow[] = [
  ruleAt(`${port}.containerPort`, 'there', { passes: 80, fails: undefined }, 'Required value', {
    [`${port}.name`]: 'a',
  }),
  ruleAt(`${port}.containerPort`, 'a port', { passes: 65_535, fails: 65_536 }, invalid(65_536, says.port)),
  ruleAt(`${port}.hostPort`, 'a port', { passes: 1, fails: -1 }, invalid(-1, says.port), {
    [`${port}.containerPort`]: 80,
  }),
  ruleAt(
    `${c}.ports`,
    'each port of the node once',
    {
      passes: [
        { containerPort: 1, hostPort: 5 },
        { containerPort: 1, hostPort: 5, protocol: 'UDP' },
      ],
      fails: [
        { containerPort: 1, hostPort: 5 },
        { containerPort: 2, hostPort: 5 },
      ],
    },
    [`${c}.ports[1].hostPort: Duplicate value: "TCP//5"`],
  ),
  ruleAt(
    `${port}.hostPort`,
    'the port itself on the host',
    { passes: 80, fails: 81 },
    invalid(81, 'must match `containerPort` when `hostNetwork` is true'),
    { [`${port}.containerPort`]: 80, 'spec.hostNetwork': true },
  ),
  oneOfAt(`${port}.protocol`, ['SCTP', 'TCP', 'UDP'], { [`${port}.containerPort`]: 80 }),
  ruleAt(
    `${port}.name`,
    'a name',
    { passes: 'a-1', fails: 'a_' },
    invalid('a_', "must contain only alpha-numeric characters (a-z, 0-9), and hyphens ('-')"),
    { [`${port}.containerPort`]: 80 },
  ),
  ruleAt(
    `${c}.ports`,
    'each name once',
    {
      passes: [
        { name: 'a', containerPort: 1 },
        { name: 'b', containerPort: 1 },
      ],
      fails: [
        { name: 'a', containerPort: 1 },
        { name: 'a', containerPort: 2 },
      ],
    },
    [`${c}.ports[1].name: Duplicate value: "a"`],
  ),
  ruleAt(
    `${port}.hostIP`,
    'an address (more than upstream asks for)',
    { passes: '::1', fails: 'x' },
    invalid('x', says.ip),
    { [`${port}.containerPort`]: 80 },
  ),
];

const resources = `${c}.resources`;

const resourceRows: readonly RuleRow[] = [
  ruleAt(`${resources}.limits`, 'names of resources', { passes: { 'a.b/c': '1' }, fails: { x: '1' } }, [
    `${resources}.limits[x]: Invalid value: "x": must be a standard resource type or fully qualified`,
    `${resources}.limits[x]: Invalid value: "x": must be a standard resource for containers`,
    `${resources}.requests[x]: Invalid value: "x": must be a standard resource type or fully qualified`,
    `${resources}.requests[x]: Invalid value: "x": must be a standard resource for containers`,
  ]),
  ruleAt(
    `${resources}.requests`,
    'no more than the limit',
    { passes: { cpu: '1' }, fails: { cpu: '3' } },
    invalid('3', 'must be less than or equal to cpu limit of 2'),
    { [`${resources}.limits`]: { cpu: '2' } },
  ),
  ruleAt(`${resources}.requests`, 'with a limit, of what is given out whole', { fails: { 'a.b/c': '1' } }, [
    `${resources}.limits: Required value: Limit must be set for non overcommitable resources`,
  ]),
  ruleAt(
    `${resources}.requests`,
    'as the limit, of what is given out whole',
    { passes: { 'a.b/c': '2' }, fails: { 'a.b/c': '1' } },
    invalid('1', 'must be equal to a.b/c limit of 2'),
    { [`${resources}.limits`]: { 'a.b/c': '2' } },
  ),
  ruleAt(`${resources}.requests`, 'not negative', { fails: { cpu: '-1' } }, [
    `${resources}.requests[cpu]: Invalid value: "-1": ${says.notNegative}`,
  ]),
  ruleAt(
    `${resources}.limits`,
    'whole huge pages',
    { passes: { 'hugepages-2Mi': '4Mi', cpu: '1' }, fails: { 'hugepages-2Mi': '3Mi', cpu: '1' } },
    [
      `${resources}.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`,
      `${resources}.requests[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`,
    ],
  ),
  ruleAt(`${resources}.limits`, 'huge pages with cpu or memory', { fails: { 'hugepages-2Mi': '2Mi' } }, [
    `${resources}: Forbidden: HugePages require cpu or memory`,
  ]),
  ruleAt(
    `${resources}.claims`,
    'of the pod',
    { passes: [{ name: 'c' }], fails: [{ name: 'd' }] },
    [`${resources}.claims[0]: Not found: "d": must be one of the names in pod.spec.resourceClaims: c`],
    { 'spec.resourceClaims': [{ name: 'c', resourceClaimName: 'x' }] },
  ),
  ruleAt(
    `${resources}.claims`,
    'each once',
    {
      passes: [
        { name: 'c', request: 'a' },
        { name: 'c', request: 'b' },
      ],
      fails: [{ name: 'c', request: 'a' }, { name: 'c' }],
    },
    [`${resources}.claims[1]: Duplicate value: "c"`],
    { 'spec.resourceClaims': [{ name: 'c', resourceClaimName: 'x' }] },
  ),
  ruleAt(
    `${resources}.claims[0].name`,
    'there',
    { passes: 'c', fails: '' },
    [`${resources}.claims[0]: Required value`],
    { 'spec.resourceClaims': [{ name: 'c', resourceClaimName: 'x' }] },
  ),
  ruleAt(`${resources}.claims[0].request`, 'a label', { passes: 'a', fails: 'A' }, invalid('A', says.label), {
    'spec.resourceClaims': [{ name: 'c', resourceClaimName: 'x' }],
    [`${resources}.claims[0].name`]: 'c',
  }),
  ruleAt(
    `${c}.resizePolicy[0].resourceName`,
    'one of two',
    { passes: 'cpu', fails: 'x' },
    [`${c}.resizePolicy: Unsupported value: "x": supported values: "cpu", "memory"`],
    { [`${c}.resizePolicy[0].restartPolicy`]: 'NotRequired' },
  ),
  ruleAt(
    `${c}.resizePolicy[0].restartPolicy`,
    'one of two',
    { passes: 'RestartContainer', fails: 'x' },
    [`${c}.resizePolicy: Unsupported value: "x": supported values: "NotRequired", "RestartContainer"`],
    { [`${c}.resizePolicy[0].resourceName`]: 'cpu' },
  ),
  ruleAt(
    `${c}.resizePolicy[0].restartPolicy`,
    'none in a pod that is not restarted',
    { passes: 'NotRequired', fails: 'RestartContainer' },
    [
      `${c}.resizePolicy: Invalid value: "RestartContainer": must be 'NotRequired' when pod \`restartPolicy\` is 'Never'`,
    ],
    { [`${c}.resizePolicy[0].resourceName`]: 'cpu', 'spec.restartPolicy': 'Never' },
  ),
  ruleAt(
    `${c}.resizePolicy`,
    'each resource once',
    { fails: [1, 2].map(() => ({ resourceName: 'cpu', restartPolicy: 'NotRequired' })) },
    [`${c}.resizePolicy[1]: Duplicate value: "cpu"`],
  ),
];

const handlerRows: readonly RuleRow[] = [
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle.postStart',
  'lifecycle.preStop',
].flatMap((name) => {
  const h = `${c}.${name}`;
  return [
    ruleAt(
      h,
      'a handler',
      { passes: { exec: { command: ['a'] } }, fails: {} },
      'Required value: must specify a handler type',
    ),
    ruleAt(h, 'not two', { fails: { exec: { command: ['a'] }, tcpSocket: { port: 1 } } }, [
      `${h}.tcpSocket: Forbidden: may not specify more than 1 handler type`,
    ]),
    ruleAt(`${h}.exec.command`, 'there', { passes: ['a'], fails: [] }, 'Required value'),
    ruleAt(`${h}.tcpSocket.port`, 'a port', { passes: 'a', fails: 0 }, invalid(0, says.port)),
    ruleAt(`${h}.httpGet.port`, 'a port', { passes: 80, fails: '-' }, [
      `${h}.httpGet.port: Invalid value: "-": must contain at least one letter (a-z)`,
      `${h}.httpGet.port: Invalid value: "-": must not begin or end with a hyphen`,
    ]),
    oneOfAt(`${h}.httpGet.scheme`, ['HTTP', 'HTTPS'], { [`${h}.httpGet.port`]: 80 }),
    ruleAt(
      `${h}.httpGet.httpHeaders[0].name`,
      'a name',
      { passes: 'A-b', fails: 'A b' },
      [
        `${h}.httpGet.httpHeaders: ${invalid('A b', "a valid HTTP header must consist of alphanumeric characters or '-'…")}`,
      ],
      { [`${h}.httpGet.port`]: 80 },
    ),
    ...(name.startsWith('lifecycle')
      ? [
          ruleAt(`${h}.sleep.seconds`, 'within the grace period', { passes: 30, fails: 31 }, [
            `${h}.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)`,
          ]),
        ]
      : [
          ruleAt(`${h}.grpc.port`, 'a port', { passes: 1, fails: 65_536 }, invalid(65_536, says.port)),
          ...['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'failureThreshold'].map((field) =>
            ruleAt(`${h}.${field}`, 'not negative', { passes: 1, fails: -1 }, invalid(-1, says.notNegative), {
              [`${h}.exec.command`]: ['a'],
            }),
          ),
          name === 'readinessProbe'
            ? ruleAt(
                `${h}.successThreshold`,
                'not negative',
                { passes: 2, fails: -1 },
                invalid(-1, says.notNegative),
                { [`${h}.exec.command`]: ['a'] },
              )
            : ruleAt(`${h}.successThreshold`, 'one', { passes: 1, fails: 2 }, invalid(2, 'must be 1'), {
                [`${h}.exec.command`]: ['a'],
              }),
          name === 'readinessProbe'
            ? ruleAt(
                `${h}.terminationGracePeriodSeconds`,
                'not of a probe that ends nothing',
                { fails: 1 },
                invalid(1, 'must not be set for readinessProbes'),
                { [`${h}.exec.command`]: ['a'] },
              )
            : ruleAt(
                `${h}.terminationGracePeriodSeconds`,
                'above 0',
                { passes: 1, fails: 0 },
                invalid(0, 'must be greater than 0'),
                { [`${h}.exec.command`]: ['a'] },
              ),
        ]),
  ];
});

const restartRows: readonly RuleRow[] = [
  oneOfAt(`${c}.restartPolicy`, ['Always', 'Never', 'OnFailure']),
  ruleAt(
    `${c}.restartPolicyRules`,
    'with a policy',
    { fails: [{ action: 'Restart', exitCodes: { operator: 'In', values: [1] } }] },
    [`${c}.restartPolicy: Required value: must specify restartPolicy when restart rules are used`],
  ),
  ruleAt(
    `${c}.restartPolicyRules`,
    'no more than 20',
    {
      fails: Array.from({ length: 21 }, () => ({
        action: 'Restart',
        exitCodes: { operator: 'In', values: [1] },
      })),
    },
    'Too many: 21: must have at most 20 items',
    { [`${c}.restartPolicy`]: 'Never' },
  ),
  ...(['action', 'exitCodes.operator'] as const).map((field) =>
    oneOfAt(
      `${c}.restartPolicyRules[0].${field}`,
      field === 'action' ? ['Restart', 'RestartAllContainers'] : ['In', 'NotIn'],
      {
        [`${c}.restartPolicy`]: 'Never',
        [`${c}.restartPolicyRules`]: [{ action: 'Restart', exitCodes: { operator: 'In', values: [1] } }],
      },
    ),
  ),
  ruleAt(
    `${c}.restartPolicyRules[0].exitCodes`,
    'there',
    { fails: undefined },
    'Required value: must be specified',
    { [`${c}.restartPolicy`]: 'Never', [`${c}.restartPolicyRules[0].action`]: 'Restart' },
  ),
  ruleAt(
    `${c}.restartPolicyRules[0].exitCodes.values`,
    'no more than 255',
    { passes: [], fails: Array.from({ length: 256 }, (_, code) => code) },
    'Too many: 256: must have at most 255 items',
    {
      [`${c}.restartPolicy`]: 'Never',
      [`${c}.restartPolicyRules[0]`]: { action: 'Restart', exitCodes: { operator: 'In' } },
    },
  ),
  ruleAt(
    `${c}.lifecycle.stopSignal`,
    'of a known system',
    { fails: 'SIGTERM' },
    'Forbidden: may not be set for containers with empty `spec.os.name`',
  ),
  ruleAt(
    `${c}.lifecycle.stopSignal`,
    'a signal of the system',
    { passes: 'SIGTERM', fails: 'SIGHUP' },
    'Unsupported value: "SIGHUP": supported values: "SIGKILL", "SIGTERM"',
    { 'spec.os.name': 'windows' },
  ),
];

const initRows: readonly RuleRow[] = [
  ruleAt(
    `${init}.name`,
    'another than of the containers',
    { passes: 'i', fails: 'c' },
    'Duplicate value: "c"',
    { [`${init}.image`]: 'i' },
  ),
  ruleAt(`${init}.image`, 'there', { passes: 'i', fails: '' }, 'Required value', { [`${init}.name`]: 'i' }),
  ...['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'].map((name) =>
    ruleAt(
      `${init}.${name}`,
      'only of sidecars',
      { fails: name === 'lifecycle' ? {} : { exec: { command: ['a'] } } },
      'Forbidden: may not be set for init containers without restartPolicy=Always',
      { [`${init}.name`]: 'i', [`${init}.image`]: 'i' },
    ),
  ),
  ruleAt(
    `${init}.resizePolicy`,
    'no restart of what ends',
    {
      passes: [{ resourceName: 'cpu', restartPolicy: 'NotRequired' }],
      fails: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }],
    },
    [
      `${init}.resizePolicy[0].restartPolicy: Invalid value: "RestartContainer": must not be set to 'RestartContainer' for non-sidecar initContainers`,
    ],
    { [`${init}.name`]: 'i', [`${init}.image`]: 'i' },
  ),
];

export const containerRows: readonly RuleRow[] = [
  {
    field: 'spec.containers',
    rule: 'at least one',
    fails: { 'spec.containers': [] },
    message: 'spec.containers: Required value',
  },
  ruleAt(`${c}.name`, 'there', { passes: 'c', fails: '' }, 'Required value'),
  ruleAt(`${c}.name`, 'a label', { passes: 'c-1', fails: 'C' }, invalid('C', says.label)),
  ruleAt('spec.containers[1].name', 'each once', { passes: 'd', fails: 'c' }, 'Duplicate value: "c"', {
    'spec.containers[1].image': 'i',
  }),
  ruleAt(`${c}.image`, 'there', { passes: 'i', fails: '' }, 'Required value'),
  ruleAt(
    `${c}.image`,
    'without blanks around it',
    { fails: ' i' },
    invalid(' i', 'must not have leading or trailing whitespace'),
  ),
  oneOfAt(`${c}.imagePullPolicy`, ['Always', 'IfNotPresent', 'Never']),
  oneOfAt(`${c}.terminationMessagePolicy`, ['File', 'FallbackToLogsOnError']),
  ...envRows,
  ...portRows,
  ...mountRows,
  ...resourceRows,
  ...handlerRows,
  ...restartRows,
  ...initRows,
];
