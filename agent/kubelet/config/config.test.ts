import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { amountOf, isShort } from '#agent/kubelet/evict/thresholds.ts';
import { configurationFields } from './configuration-fields.ts';
import { mergeDropIn, readKubeletConfiguration, withoutEffect } from './kubelet-configuration.ts';
import { defaultSettings, readSettings } from './settings.ts';

const head = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n';

/** staging/src/k8s.io/kubelet/config/v1beta1/types.go of upstream. */
const upstreamFields =
  'address allowedUnsafeSysctls authentication authorization cgroupDriver cgroupRoot cgroupsPerQOS ' +
  'clusterDNS clusterDomain configMapAndSecretChangeDetectionStrategy containerLogMaxFiles ' +
  'containerLogMaxSize containerLogMaxWorkers containerLogMonitorInterval containerRuntimeEndpoint ' +
  'contentType cpuCFSQuota cpuCFSQuotaPeriod cpuManagerPolicy cpuManagerPolicyOptions ' +
  'cpuManagerReconcilePeriod crashLoopBackOff draManagerReconcilePeriod enableContentionProfiling ' +
  'enableControllerAttachDetach enableDebugFlagsHandler enableDebuggingHandlers enableProfilingHandler ' +
  'enableServer enableSystemLogHandler enableSystemLogQuery enforceNodeAllocatable eventBurst ' +
  'eventRecordQPS evictionHard evictionMaxPodGracePeriod evictionMinimumReclaim ' +
  'evictionPressureTransitionPeriod evictionSoft evictionSoftGracePeriod failCgroupV1 failSwapOn ' +
  'featureGates fileCheckFrequency hairpinMode healthzBindAddress healthzPort httpCheckFrequency ' +
  'imageGCHighThresholdPercent imageGCLowThresholdPercent imageMaximumGCAge imageMinimumGCAge ' +
  'imagePullCredentialsVerificationPolicy imageServiceEndpoint iptablesDropBit iptablesMasqueradeBit ' +
  'kernelMemcgNotification kubeAPIBurst kubeAPIQPS kubeReserved kubeReservedCgroup kubeletCgroups ' +
  'localStorageCapacityIsolation logging makeIPTablesUtilChains maxOpenFiles maxParallelImagePulls maxPods ' +
  'memoryManagerPolicy memoryReservationPolicy memorySwap memoryThrottlingFactor ' +
  'mergeDefaultEvictionSettings nodeLeaseDurationSeconds nodeStatusMaxImages nodeStatusReportFrequency ' +
  'nodeStatusUpdateFrequency oomScoreAdj podCIDR podLogsDir podPidsLimit podsPerCore port ' +
  'preloadedImagesVerificationAllowlist protectKernelDefaults providerID qosReserved readOnlyPort ' +
  'registerNode registerWithTaints registryBurst registryPullQPS reservedMemory reservedSystemCPUs ' +
  'resolvConf rotateCertificates runOnce runtimeRequestTimeout seccompDefault serializeImagePulls ' +
  'serverTLSBootstrap showHiddenMetricsForVersion shutdownGracePeriod shutdownGracePeriodByPodPriority ' +
  'shutdownGracePeriodCriticalPods singleProcessOOMKill staticPodPath staticPodURL staticPodURLHeader ' +
  'streamingConnectionIdleTimeout syncFrequency systemCgroups systemReserved systemReservedCgroup ' +
  'tlsCertFile tlsCipherSuites tlsCurvePreferences tlsMinVersion tlsPrivateKeyFile topologyManagerPolicy ' +
  'topologyManagerPolicyOptions topologyManagerScope tracing userNamespaces volumePluginDir ' +
  'volumeStatsAggPeriod';

describe('KubeletConfiguration', () => {
  let directory = '';
  beforeEach(() => void (directory = mkdtempSync(path.join(tmpdir(), 'config-'))));
  afterEach(() => rmSync(directory, { recursive: true }));
  const write = (name: string, text: string): string => {
    const file = path.join(directory, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, head + text);
    return file;
  };

  test('is a file with drop-ins over it, by name, field by field', () => {
    const file = write(
      'kubelet.yaml',
      'maxPods: 10\nevictionHard: {memory.available: 1Gi, pid.available: 1%}\nclusterDNS: [192.0.2.1]\n',
    );
    write('conf.d/20-b.conf', 'maxPods: 30\n');
    write(
      'conf.d/10-a.conf',
      'maxPods: 20\nevictionHard: {memory.available: 2Gi}\nclusterDNS: [192.0.2.2]\n',
    );
    write('conf.d/30-c.yaml', 'maxPods: 99\n');
    const read = readKubeletConfiguration({ file, directory: path.join(directory, 'conf.d') });
    expect(read).toMatchObject({
      maxPods: 30,
      clusterDNS: ['192.0.2.2'],
      evictionHard: { 'memory.available': '2Gi', 'pid.available': '1%' },
    });
  });

  test.each<[string, string]>([
    ['maxPod: 1', 'maxPod: unknown field'],
    ['maxPods: many', 'maxPods: not an integer'],
    ['authentication: {webhook: {enable: true}}', 'authentication.webhook.enable: unknown field'],
    ['syncFrequency: soon', 'syncFrequency: not a duration'],
  ])('is refused with %s', (text, message) => {
    const file = write('kubelet.yaml', `${text}\n`);
    expect(() => readKubeletConfiguration({ file, directory: undefined })).toThrow(
      `read ${file}: ${message}`,
    );
  });

  test('names what of it has no effect', () => {
    expect(
      withoutEffect({ maxPods: 5, cpuManagerPolicy: 'none', readOnlyPort: 0, failSwapOn: false }),
    ).toEqual([]);
    expect(withoutEffect({ healthzPort: 1, readOnlyPort: 10_255 })).toEqual([
      'readOnlyPort: 10255 has no effect: there is no port without authentication',
      'healthzPort: 1 has no effect: health is told at the node’s port',
    ]);
  });

  test('names a member of what is acted on that has none', () => {
    const webhook = { enabled: true, cacheTTL: '1m' };
    expect(withoutEffect({ authentication: { webhook: { ...webhook, cacheTTL: '2m0s' } } })).toEqual([]);
    expect(withoutEffect({ authentication: { webhook } })).toEqual([
      'authentication.webhook.cacheTTL: "1m" has no effect: answers are kept for 120 s',
    ]);
  });

  test('merges mappings by member, and nothing else', () => {
    expect(mergeDropIn({ a: { b: 1, c: [1] }, d: 1 }, { a: { c: [2] }, d: { e: 1 } })).toEqual({
      a: { b: 1, c: [2] },
      d: { e: 1 },
    });
  });

  test('has the fields that there are, each acted on or with a reason', () => {
    expect(Object.keys(configurationFields).toSorted()).toEqual(upstreamFields.split(' ').toSorted());
    for (const { effect } of Object.values(configurationFields))
      if (effect.kind === 'fixed') expect(effect.why).not.toBe('');
  });
});

describe('gates of features', () => {
  test('that are for what is always there, or for nothing here, are named where they say otherwise', () => {
    const featureGates = { MemoryQoS: true, NodeSwap: true, EnvFiles: false, WarpDrive: true, Other: false };
    expect(withoutEffect({ featureGates })).toEqual([
      'featureGates.EnvFiles: false has no effect: what it is for is always there',
      'featureGates.WarpDrive: true has no effect: nothing here has a gate of that name',
    ]);
  });

  test('are true or false', () => {
    expect(() => readSettings({ featureGates: { MemoryQoS: 'yes' } })).toThrow(
      'featureGates.MemoryQoS: it is',
    );
  });
});

describe('settings', () => {
  test('are the kubelet’s without a word', () => {
    expect(readSettings({})).toEqual(defaultSettings);
  });

  /** For each field that is acted on here (the others are options of the agent), what it does. */
  const rows: readonly (readonly [field: string, value: unknown, want: object])[] = [
    ['podPidsLimit', 100, { podPidsMax: 100 }],
    ['podPidsLimit', -1, { podPidsMax: undefined }],
    ['podsPerCore', 10, { podsPerCore: 10 }],
    ['seccompDefault', true, { isSeccompDefault: true }],
    ['allowedUnsafeSysctls', ['kernel.msg*'], { allowedUnsafeSysctls: ['kernel.msg*'] }],
    ['crashLoopBackOff', { maxContainerRestartPeriod: '5s' }, { restartBackoffMaxMs: 5000 }],
    ['userNamespaces', { idsPerPod: 131_072 }, { idsPerPod: 131_072 }],
    [
      'registerWithTaints',
      [{ key: 'k', effect: 'NoSchedule' }],
      { taints: [{ key: 'k', effect: 'NoSchedule' }] },
    ],
    ['imagePullCredentialsVerificationPolicy', 'AlwaysVerify', { verification: { policy: 'AlwaysVerify' } }],
    ['providerID', 'cloud://1', { providerId: 'cloud://1' }],
    ['nodeStatusUpdateFrequency', '1s', { statusUpdateMs: 1000 }],
    ['nodeStatusReportFrequency', '1m', { statusReportMs: 60_000 }],
    ['nodeStatusMaxImages', -1, { imagesInStatusMax: -1 }],
    ['nodeLeaseDurationSeconds', 20, { leaseSeconds: 20 }],
    ['containerLogMonitorInterval', '3s', { logMonitorMs: 3000 }],
    ['staticPodPath', '/etc/pods', { staticPodPath: '/etc/pods' }],
    ['fileCheckFrequency', '1s', { fileCheckMs: 1000 }],
    [
      'kubeReserved',
      { cpu: '500m', memory: '1Gi', 'ephemeral-storage': '1G', pid: '100' },
      { reserved: { cpuMilli: 500, memoryBytes: 2 ** 30, storageBytes: 1e9, pids: 100 } },
    ],
    ['systemReserved', { cpu: '1' }, { reserved: { ...defaultSettings.reserved, cpuMilli: 1000 } }],
    ['cpuCFSQuota', false, { cgroupRules: { hasQuota: false } }],
    ['cpuCFSQuotaPeriod', '10ms', { cgroupRules: { periodUs: 10_000 } }],
    ['singleProcessOOMKill', true, { cgroupRules: { isSingleOomKill: true } }],
    ['memorySwap', { swapBehavior: 'LimitedSwap' }, { cgroupRules: { swap: 'LimitedSwap' } }],
    ['failSwapOn', true, { isSwapRefused: true }],
    ['memoryThrottlingFactor', 0.8, { cgroupRules: { throttlingFactor: 0.8 } }],
    ['featureGates', { MemoryQoS: true }, { cgroupRules: { throttlingFactor: 0.9 } }],
    ['memoryReservationPolicy', 'TieredReservation', { cgroupRules: { isReserving: true } }],
    ['enforceNodeAllocatable', ['none'], { nodeCgroups: { enforced: new Set() } }],
    [
      'shutdownGracePeriod',
      '30s',
      {
        shutdown: [
          { priority: 0, seconds: 30 },
          { priority: 2_000_000_000, seconds: 0 },
        ],
      },
    ],
    [
      'shutdownGracePeriodByPodPriority',
      [
        { priority: 9, shutdownGracePeriodSeconds: 2 },
        { priority: 0, shutdownGracePeriodSeconds: 1 },
      ],
      {
        shutdown: [
          { priority: 0, seconds: 1 },
          { priority: 9, seconds: 2 },
        ],
      },
    ],
    ['cpuManagerReconcilePeriod', '1s', { assign: { reconcileMs: 1000 } }],
    ['topologyManagerPolicy', 'restricted', { assign: { rules: { topologyPolicy: 'restricted' } } }],
    ['topologyManagerScope', 'pod', { assign: { rules: { scope: 'pod' } } }],
    [
      'reservedMemory',
      [{ numaNode: 1, limits: { memory: '1Ki', 'hugepages-2Mi': '2Mi' } }],
      {
        assign: {
          rules: {
            reservedMemory: new Map([
              [
                1,
                new Map([
                  ['memory', 1024],
                  ['hugepages-2Mi', 2 ** 21],
                ]),
              ],
            ]),
          },
        },
      },
    ],
    ['reservedSystemCPUs', '0-2,5', { reserved: { ...defaultSettings.reserved, cpuMilli: 4000 } }],
  ];
  test.each(rows)('%s: %j', (field, value, want) => {
    expect(readSettings({ [field]: value })).toMatchObject(want);
  });

  test.each<[JsonObject, string]>([
    [
      { cpuManagerPolicy: 'static' },
      'cpuManagerPolicy: static wants CPUs for the system: set reservedSystemCPUs',
    ],
    [{ cpuManagerPolicy: 'dynamic' }, 'cpuManagerPolicy: dynamic is none of none, static'],
    [
      { cpuManagerPolicyOptions: { 'full-pcpus-only': 'true' } },
      'cpuManagerPolicyOptions: they are of the static policy',
    ],
    [
      {
        cpuManagerPolicy: 'static',
        reservedSystemCPUs: '0',
        cpuManagerPolicyOptions: { 'align-by-socket': 'true' },
      },
      'cpuManagerPolicyOptions.align-by-socket: alpha options are not there',
    ],
    [{ memoryManagerPolicy: 'Static' }, 'memoryManagerPolicy: Static wants reservedMemory'],
    [
      { reservedMemory: [{ numaNode: 0, limits: { cpu: '1' } }] },
      'reservedMemory[0].limits.cpu: memory and hugepages',
    ],
    [
      {
        topologyManagerPolicy: 'restricted',
        topologyManagerPolicyOptions: { 'max-allowable-numa-nodes': '4' },
      },
      'topologyManagerPolicyOptions.max-allowable-numa-nodes: 4 is not from 8 to 16',
    ],
    [
      { memorySwap: { swapBehavior: 'UnlimitedSwap' } },
      'memorySwap.swapBehavior: UnlimitedSwap is neither NoSwap',
    ],
    [{ memoryThrottlingFactor: 2 }, 'memoryThrottlingFactor: it is greater than 0'],
    [{ cpuCFSQuotaPeriod: '2s' }, 'cpuCFSQuotaPeriod: 2s is not from 1ms to 1s'],
    [{ enforceNodeAllocatable: ['pods', 'none'] }, 'enforceNodeAllocatable: none stands alone'],
    [{ enforceNodeAllocatable: ['system-reserved'] }, 'systemReservedCgroup: it is wanted where'],
    [
      { shutdownGracePeriod: '10s', shutdownGracePeriodCriticalPods: '20s' },
      'shutdownGracePeriodCriticalPods: it is a part of shutdownGracePeriod',
    ],
    [
      { shutdownGracePeriod: '10s', shutdownGracePeriodByPodPriority: [{ priority: 1 }] },
      'shutdownGracePeriodByPodPriority: it and shutdownGracePeriod exclude each other',
    ],
    [{ kubeReserved: { gpu: '1' } }, 'kubeReserved.gpu: cpu, memory, ephemeral-storage or pid is reserved'],
    [{ systemReserved: { cpu: 'x' } }, 'systemReserved.cpu: x is not an amount'],
    [{ userNamespaces: { idsPerPod: 1000 } }, 'userNamespaces.idsPerPod: 1000 is no multiple of 65536'],
    [{ crashLoopBackOff: { maxContainerRestartPeriod: '10m' } }, 'is not from 1s to 5m'],
    [{ reservedSystemCPUs: '3-1' }, 'reservedSystemCPUs: 3-1 is no list of CPUs'],
    [{ registerWithTaints: [{ key: 'k', effect: 'Never' }] }, 'registerWithTaints[0]'],
    [{ evictionHard: { 'memory.free': '1' } }, 'evictionHard.memory.free: the signals are memory.available'],
    [{ evictionHard: { 'memory.available': '110%' } }, 'evictionHard.memory.available: 110%'],
    [
      { evictionSoft: { 'memory.available': '1Gi' } },
      'evictionSoft.memory.available: evictionSoftGracePeriod says',
    ],
    [{ evictionSoftGracePeriod: { 'memory.available': '1m' } }, 'evictionSoft has no such signal'],
  ])('are refused: %j', (configuration, message) => {
    expect(() => readSettings(configuration)).toThrow(message);
  });

  test('of eviction are the defaults, theirs alone, or theirs over the defaults', () => {
    const hard = (configuration: JsonObject): readonly string[] =>
      readSettings(configuration).eviction.thresholds.map(({ signal }) => signal);
    expect(hard({})).toContain('nodefs.inodesFree');
    const own = { evictionHard: { 'memory.available': '5%' } };
    expect(hard(own)).toEqual(['memory.available', 'allocatableMemory.available']);
    expect(hard({ ...own, enforceNodeAllocatable: ['none'] })).toEqual(['memory.available']);
    const ofPods = { evictionHard: { 'allocatableMemory.available': '1Gi' } };
    expect(hard(ofPods)).toEqual(['allocatableMemory.available']);
    const merged = { evictionHard: { 'memory.available': '5%' }, mergeDefaultEvictionSettings: true };
    expect(hard(merged)).toEqual(hard({}));
  });

  test('a threshold is an amount or a part, and is let go of with what is to be there again', () => {
    const [threshold] = readSettings({
      evictionHard: { 'memory.available': '10%' },
      evictionMinimumReclaim: { 'memory.available': '5' },
    }).eviction.thresholds;
    if (threshold === undefined) throw new Error('no threshold');
    expect(amountOf(threshold.value, 1000)).toBe(100);
    const at = (available: number, wasShort: boolean): boolean =>
      isShort(threshold, { available, capacity: 1000 }, wasShort);
    expect([at(99, false), at(100, false), at(104, true), at(105, true)]).toEqual([true, false, true, false]);
  });
});
