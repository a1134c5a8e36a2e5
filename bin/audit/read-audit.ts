/** The audit options of a server, checked and read. */
import { resolve } from 'node:path';
import { parseDurationMs } from '#api/meta/duration.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { AuditOptions, Delivery } from '#control-plane/apiserver/chain/audit/audit.ts';
import { parsePolicy } from '#control-plane/apiserver/chain/audit/policy.ts';
import { modes, type Mode } from '#control-plane/apiserver/chain/audit/sink.ts';
import { deliveryDefaults, type AuditFlags, type DeliveryFlags } from './audit-flags.ts';

const megabyte = 1024 * 1024;
const dayMs = 86_400_000;
/** lumberjack's, which kube-apiserver writes its log with. */
const megabytesDefault = 100;

/** All that is wrong, each beginning with the option's name; files are not read. Pure. */
export function auditFlagProblems(flags: AuditFlags): readonly string[] {
  const { auditPolicyFile, auditLogPath, auditWebhookConfigFile, auditWebhookInitialBackoff = '10s' } = flags;
  const places = [
    ...(auditLogPath === undefined ? [] : ['--audit-log-path']),
    ...(auditWebhookConfigFile === undefined ? [] : ['--audit-webhook-config-file']),
  ];
  const isRecorded = auditPolicyFile !== undefined;
  return [
    ...(isRecorded
      ? []
      : places.map((place) => `${place}: give --audit-policy-file too; without, nothing is recorded`)),
    ...(isRecorded && places.length === 0
      ? [
          '--audit-policy-file: give --audit-log-path or --audit-webhook-config-file too; it is recorded nowhere',
        ]
      : []),
    ...(auditLogPath === '' ? ['--audit-log-path: names no file'] : []),
    ...durationProblems('--audit-webhook-initial-backoff', auditWebhookInitialBackoff),
    ...(auditLogPath === undefined ? [] : deliveryProblems('log', deliveryFlags('log', flags))),
    ...(auditWebhookConfigFile === undefined
      ? []
      : deliveryProblems('webhook', deliveryFlags('webhook', flags))),
  ];
}

function deliveryProblems(place: string, flags: DeliveryFlags): readonly string[] {
  const option = (name: string): string => `--audit-${place}-${name}`;
  const { batchThrottleEnable: isThrottled, batchThrottleQps: qps, batchThrottleBurst: burst } = flags;
  const positive = (name: string, value: number): readonly string[] =>
    value > 0 ? [] : [`${option(name)} ${value}: must be greater than 0`];
  const batch =
    flags.mode !== 'batch'
      ? []
      : [
          ...positive('batch-buffer-size', flags.batchBufferSize),
          ...positive('batch-max-size', flags.batchMaxSize),
          ...durationProblems(option('batch-max-wait'), flags.batchMaxWait),
          ...(isThrottled
            ? [...positive('batch-throttle-qps', qps), ...positive('batch-throttle-burst', burst)]
            : []),
        ];
  const { truncateMaxBatchSize: batchBytes, truncateMaxEventSize: eventBytes } = flags;
  const truncate = !flags.truncateEnabled
    ? []
    : [
        ...positive('truncate-max-event-size', eventBytes),
        ...(batchBytes < eventBytes
          ? [
              `${option('truncate-max-batch-size')} ${batchBytes}: must be at least that of one event, ${eventBytes}`,
            ]
          : []),
      ];
  return [...batch, ...truncate];
}

function durationProblems(option: string, text: string): readonly string[] {
  try {
    return parseDurationMs(text) >= 0 ? [] : [`${option} ${text}: must not be negative`];
  } catch {
    return [`${option} ${text}: not a duration; write 30s, 2m`];
  }
}

/** What was asked for. @throws {E_USAGE} for a policy that cannot be read */
export function readAudit(
  flags: AuditFlags,
  file: (option: string, path: string) => Uint8Array,
): { readonly audit?: AuditOptions } {
  const { auditPolicyFile, auditLogPath, auditWebhookConfigFile, auditWebhookInitialBackoff = '10s' } = flags;
  if (auditPolicyFile === undefined) return {};
  const text = Buffer.from(file('--audit-policy-file', auditPolicyFile)).toString();
  const webhook = auditWebhookConfigFile === undefined ? undefined : resolve(auditWebhookConfigFile);
  return {
    audit: {
      policy: policyOf(text, auditPolicyFile),
      log:
        auditLogPath === undefined
          ? undefined
          : {
              ...deliveryOf(deliveryFlags('log', flags)),
              path: auditLogPath === '-' ? '-' : resolve(auditLogPath),
              format: flags.auditLogFormat === 'legacy' ? 'legacy' : 'json',
              bytesMax: (flags.auditLogMaxsize || megabytesDefault) * megabyte,
              backupsMax: flags.auditLogMaxbackup ?? 0,
              ageMsMax: (flags.auditLogMaxage ?? 0) * dayMs,
              compress: flags.auditLogCompress === true,
            },
      webhook:
        webhook === undefined
          ? undefined
          : {
              ...deliveryOf(deliveryFlags('webhook', flags)),
              kubeconfig: webhook,
              initialBackoffMs: parseDurationMs(auditWebhookInitialBackoff),
            },
    },
  };
}

function policyOf(text: string, path: string): AuditOptions['policy'] {
  try {
    return parsePolicy(text);
  } catch (error) {
    throw new PodwrightError(
      'E_USAGE',
      `start the server: --audit-policy-file ${path}: ${describeError(error)}`,
    );
  }
}

function deliveryOf(flags: DeliveryFlags): Delivery {
  const { batchThrottleEnable, batchThrottleQps: qps, batchThrottleBurst: burst } = flags;
  return {
    mode: modeOf(flags.mode),
    batch: {
      bufferSize: flags.batchBufferSize,
      batchSizeMax: flags.batchMaxSize,
      waitMsMax: parseDurationMs(flags.batchMaxWait),
      throttle: batchThrottleEnable ? { qps, burst } : undefined,
    },
    truncate: flags.truncateEnabled
      ? { batchBytesMax: flags.truncateMaxBatchSize, eventBytesMax: flags.truncateMaxEventSize }
      : undefined,
  };
}

function modeOf(text: string): Mode {
  return modes.find((mode) => mode === text) ?? 'blocking';
}

/** What was said of one place, and for the rest what holds where nothing is said. */
function deliveryFlags(place: 'log' | 'webhook', flags: AuditFlags): DeliveryFlags {
  const defaults = deliveryDefaults[place];
  const prefix = place === 'log' ? 'auditLog' : 'auditWebhook';
  const given: Readonly<Record<string, unknown>> = { ...flags };
  const said = Object.keys(defaults).flatMap((name) => {
    const value = given[`${prefix}${name.charAt(0).toUpperCase()}${name.slice(1)}`];
    return value === undefined ? [] : [[name, value]];
  });
  return { ...defaults, ...Object.fromEntries(said) };
}
