import { describe, expect, it } from 'vitest';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import { findKindByName } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { validateEphemeralContainers, validatePod } from './pod.ts';

const kind = findKindByName('v1', 'Pod');
if (kind === undefined) throw new Error('no kind Pod');

const podOf = (container: JsonObject, spec: JsonObject = {}): JsonObject =>
  applyDefaults(kind, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: {
      containers: [{ name: 'c', image: 'i', ...container }],
      volumes: [{ name: 'v', emptyDir: {} }],
      ...spec,
    },
  });
const complaints = (pod: JsonObject): readonly string[] =>
  validatePod(pod).map((error) => `${error.field}: ${renderFieldError(error)}`);
const mount = (more: JsonObject): JsonObject => ({ volumeMounts: [{ name: 'v', mountPath: '/v', ...more }] });

describe('validatePod()', () => {
  it.each<[string, JsonObject, readonly string[]]>([
    [
      'a resize that restarts what is never restarted',
      podOf(
        { resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] },
        { restartPolicy: 'Never' },
      ),
      [
        "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' when `restartPolicy` is 'Never'",
      ],
    ],
    [
      'a resize policy of something else',
      podOf({ resizePolicy: [{ resourceName: 'gpu', restartPolicy: 'NotRequired' }] }),
      ['spec.containers[0].resizePolicy: Unsupported value: "gpu": supported values: "cpu", "memory"'],
    ],
    [
      'rules without a policy',
      podOf({ restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [1] } }] }),
      [
        'spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used',
      ],
    ],
    [
      'a rule about nothing',
      podOf({ restartPolicy: 'Never', restartPolicyRules: [{ action: 'Restart' }] }),
      ['spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified'],
    ],
    [
      'read-only all the way down, and not read-only',
      podOf(mount({ recursiveReadOnly: 'Enabled' })),
      [
        'spec.containers[0].volumeMounts[0].recursiveReadOnly: Forbidden: may only be specified when readOnly is true',
      ],
    ],
    ['the same, read-only', podOf(mount({ recursiveReadOnly: 'Enabled', readOnly: true })), []],
    [
      'a grace period of a readiness probe',
      podOf({ readinessProbe: { tcpSocket: { port: 1 }, terminationGracePeriodSeconds: 1 } }),
      [
        'spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes',
      ],
    ],
    [
      'a sleep longer than the grace period',
      podOf({ lifecycle: { preStop: { sleep: { seconds: 31 } } } }),
      [
        'spec.containers[0].lifecycle.preStop.sleep.seconds: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)',
      ],
    ],
    [
      'a signal of no system',
      podOf({ lifecycle: { stopSignal: 'SIGUSR1' } }),
      [
        'spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`',
      ],
    ],
    [
      'all of /proc, with the users of the host',
      podOf({ securityContext: { procMount: 'Unmasked' } }),
      [
        'spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`',
      ],
    ],
    [
      'Windows on Linux',
      podOf({}, { os: { name: 'linux' }, securityContext: { windowsOptions: { hostProcess: true } } }),
      ['spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod'],
    ],
    [
      'a host name of its own on the host',
      podOf({}, { hostnameOverride: 'x', hostNetwork: true }),
      ['spec.hostnameOverride: Forbidden: may not be set when `hostNetwork` is true'],
    ],
  ])('%s', (_name, pod, want) => expect(complaints(pod)).toEqual(want));
});

describe('validateEphemeralContainers()', () => {
  it('takes no ports, probes, hooks and resources, and a target that is there', () => {
    const old = podOf({});
    const probe = { tcpSocket: { port: 1 } };
    const debug = { name: 'd', image: 'i', livenessProbe: probe, resources: { limits: { cpu: '1' } } };
    const next = podOf({}, { ephemeralContainers: [{ ...debug, targetContainerName: 'no' }] });
    const text = 'cannot be set for an Ephemeral Container';
    expect(
      validateEphemeralContainers(old, next).map((error) => `${error.field}: ${renderFieldError(error)}`),
    ).toEqual([
      `spec.ephemeralContainers[0].livenessProbe: Forbidden: ${text}`,
      `spec.ephemeralContainers[0].resources: Forbidden: ${text}`,
      'spec.ephemeralContainers[0].targetContainerName: Not found: "no"',
    ]);
  });
});
