/** `--audit-…`: what is recorded of requests and where, under kube-apiserver's names and with its defaults. */
import { InvalidArgumentError, Option, type Command } from 'commander';

/** How events of one place are put together and cut; times as Go writes them. */
export interface DeliveryFlags {
  readonly mode: string;
  readonly batchBufferSize: number;
  readonly batchMaxSize: number;
  readonly batchMaxWait: string;
  readonly batchThrottleEnable: boolean;
  readonly batchThrottleQps: number;
  readonly batchThrottleBurst: number;
  readonly truncateEnabled: boolean;
  readonly truncateMaxBatchSize: number;
  readonly truncateMaxEventSize: number;
}

type Prefixed<Prefix extends string, T> = {
  readonly [K in keyof T & string as `${Prefix}${Capitalize<K>}`]?: T[K];
};

export interface AuditFlags
  extends Prefixed<'auditLog', DeliveryFlags>, Prefixed<'auditWebhook', DeliveryFlags> {
  readonly auditPolicyFile?: string;
  readonly auditLogPath?: string;
  readonly auditLogMaxage?: number;
  readonly auditLogMaxbackup?: number;
  readonly auditLogMaxsize?: number;
  readonly auditLogCompress?: boolean;
  readonly auditLogFormat?: string;
  readonly auditWebhookConfigFile?: string;
  readonly auditWebhookInitialBackoff?: string;
}

type Value = string | number | boolean;

/** One flag. Its default is told, and not given: what nobody said is in no unit that `install` writes. */
interface FlagRow {
  readonly flag: string;
  readonly argument: string;
  readonly about: string;
  readonly default?: Value;
  readonly choices?: readonly string[];
}

const truncateDefaults = {
  truncateEnabled: false,
  truncateMaxBatchSize: 10_485_760,
  truncateMaxEventSize: 102_400,
} as const;

/** What holds where nothing is said. */
export const deliveryDefaults: Readonly<Record<'log' | 'webhook', DeliveryFlags>> = {
  log: {
    mode: 'blocking',
    batchBufferSize: 10_000,
    batchMaxSize: 1,
    batchMaxWait: '0s',
    batchThrottleEnable: false,
    batchThrottleQps: 0,
    batchThrottleBurst: 0,
    ...truncateDefaults,
  },
  webhook: {
    mode: 'batch',
    batchBufferSize: 10_000,
    batchMaxSize: 400,
    batchMaxWait: '30s',
    batchThrottleEnable: true,
    batchThrottleQps: 10,
    batchThrottleBurst: 15,
    ...truncateDefaults,
  },
};

function deliveryRows(place: 'log' | 'webhook'): readonly FlagRow[] {
  const given = deliveryDefaults[place];
  const row = (name: string, argument: string, about: string, value: Value): FlagRow => ({
    flag: `audit-${place}-${name}`,
    argument,
    about,
    default: value,
  });
  return [
    {
      ...row(
        'mode',
        '<mode>',
        'batch: events wait; blocking: answers do; blocking-strict: none without one',
        given.mode,
      ),
      choices: ['batch', 'blocking', 'blocking-strict'],
    },
    row(
      'batch-buffer-size',
      '<n>',
      'events that may wait, in batch mode; more are lost',
      given.batchBufferSize,
    ),
    row('batch-max-size', '<n>', 'events of one batch', given.batchMaxSize),
    row('batch-max-wait', '<duration>', 'how long a batch waits to be full', given.batchMaxWait),
    row('batch-throttle-enable', '[yes]', 'whether batches are held back', given.batchThrottleEnable),
    row('batch-throttle-qps', '<n>', 'batches a second on average', given.batchThrottleQps),
    row('batch-throttle-burst', '<n>', 'batches at once', given.batchThrottleBurst),
    row('truncate-enabled', '[yes]', 'whether long events go without their bodies', given.truncateEnabled),
    row('truncate-max-batch-size', '<bytes>', 'of one batch then', given.truncateMaxBatchSize),
    row('truncate-max-event-size', '<bytes>', 'of one event then', given.truncateMaxEventSize),
  ];
}

/** All of them, in the order in which they are told. */
export const auditFlagRows: readonly FlagRow[] = [
  {
    flag: 'audit-policy-file',
    argument: '<file>',
    about: 'what is recorded of which request, an audit.k8s.io/v1 Policy (default: nothing)',
  },
  { flag: 'audit-log-path', argument: '<file>', about: 'record requests here; - is standard output' },
  { flag: 'audit-log-maxage', argument: '<days>', about: 'remove older files; 0: none', default: 0 },
  { flag: 'audit-log-maxbackup', argument: '<n>', about: 'files kept beside it; 0: all', default: 0 },
  {
    flag: 'audit-log-maxsize',
    argument: '<megabytes>',
    about: 'a new file from there on; 0: 100',
    default: 0,
  },
  { flag: 'audit-log-compress', argument: '[yes]', about: 'gzip the files beside it', default: false },
  {
    flag: 'audit-log-format',
    argument: '<format>',
    about: 'json, or legacy: words',
    default: 'json',
    choices: ['json', 'legacy'],
  },
  ...deliveryRows('log'),
  {
    flag: 'audit-webhook-config-file',
    argument: '<file>',
    about: 'send records to the server of this kubeconfig',
  },
  {
    flag: 'audit-webhook-initial-backoff',
    argument: '<duration>',
    about: 'before the first retry',
    default: '10s',
  },
  ...deliveryRows('webhook'),
];

const countMax = 2_147_483_647;

export function addAuditFlags(command: Command): Command {
  for (const row of auditFlagRows) command.addOption(optionOf(row));
  return command;
}

function optionOf({ flag, argument, about, default: given, choices }: FlagRow): Option {
  const told = given === undefined ? about : `${about} (default: ${given})`;
  const option = new Option(`--${flag} ${argument}`, told);
  if (choices !== undefined) option.choices([...choices]);
  else if (typeof given === 'number') option.argParser(wholeNumber);
  else if (typeof given === 'boolean') option.preset('true').argParser(yesOrNo);
  return option;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > countMax) {
    throw new InvalidArgumentError(`takes a whole number from 0 to ${countMax}`);
  }
  return value;
}

/** Of options that may be on by default. */
export function yesOrNo(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw new InvalidArgumentError('takes true or false');
  return text === 'true';
}
