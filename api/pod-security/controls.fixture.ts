import type { JsonObject } from '#api/meta/object.ts';
import type { LevelVersion, Version } from './policy.ts';

/** A pod that is as restricted as can be: each row changes it. */
export const restrictedPod: JsonObject = {
  metadata: { name: 'p' },
  spec: {
    containers: [
      {
        name: 'c',
        image: 'i',
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        },
      },
    ],
  },
};

/** Of a pod: paths with dots, where `c.` begins one of the container; undefined takes a field away. */
export interface Change {
  readonly [path: string]: unknown;
}

/** What one control says of pods. */
export interface ControlRow {
  readonly control: string;
  /** Pods that it lets pass, at all versions where it is. */
  readonly passes: readonly Change[];
  /** Pods that it does not, and in which words, from a version on (0 unless said) to another (`until`, which lets it pass). */
  readonly fails: readonly {
    readonly pod: Change;
    readonly says: string;
    readonly since?: number;
    readonly until?: number;
  }[];
}

const windows = { 'spec.os': { name: 'windows' } };
const ownUsers = { 'spec.hostUsers': false };
const second = { name: 'd', image: 'i' };

/** Baseline's. */
export const baselineRows: readonly ControlRow[] = [
  {
    control: 'appArmorProfile',
    passes: [
      { 'c.securityContext.appArmorProfile': { type: 'RuntimeDefault' } },
      { 'spec.securityContext.appArmorProfile': { type: 'Localhost', localhostProfile: 'x' } },
      { 'metadata.annotations': { 'container.apparmor.security.beta.kubernetes.io/c': 'localhost/x' } },
    ],
    fails: [
      {
        pod: { 'c.securityContext.appArmorProfile': { type: 'Unconfined' } },
        says: 'forbidden AppArmor profile (container "c" must not set AppArmor profile type to "Unconfined")',
      },
      {
        pod: { 'spec.securityContext.appArmorProfile': { type: 'Unconfined' } },
        says: 'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
      },
      {
        pod: {
          'spec.securityContext.appArmorProfile': { type: 'Unconfined' },
          'c.securityContext.appArmorProfile': { type: 'Unconfined' },
          'metadata.annotations': { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' },
        },
        says: 'forbidden AppArmor profiles (pod and container "c" and annotation must not set AppArmor profile type to "Unconfined", "container.apparmor.security.beta.kubernetes.io/c="unconfined"")',
      },
    ],
  },
  {
    control: 'capabilities_baseline',
    passes: [{}, { 'c.securityContext.capabilities': { add: ['CHOWN', 'NET_BIND_SERVICE'] } }],
    fails: [
      {
        pod: { 'c.securityContext.capabilities': { add: ['SYS_TIME', 'NET_ADMIN', 'CHOWN'] } },
        says: 'non-default capabilities (container "c" must not include "NET_ADMIN", "SYS_TIME" in securityContext.capabilities.add)',
      },
      {
        pod: { 'c.securityContext.capabilities': { add: ['NET_RAW'] } },
        says: 'non-default capabilities (container "c" must not include "NET_RAW" in securityContext.capabilities.add)',
      },
    ],
  },
  {
    control: 'hostNamespaces',
    passes: [{}, { 'spec.hostPID': false }],
    fails: [
      { pod: { 'spec.hostNetwork': true }, says: 'host namespaces (hostNetwork=true)' },
      {
        pod: { 'spec.hostIPC': true, 'spec.hostPID': true },
        says: 'host namespaces (hostPID=true, hostIPC=true)',
      },
    ],
  },
  {
    control: 'hostPathVolumes',
    passes: [{ 'spec.volumes': [{ name: 'n', nfs: { server: 's', path: '/' } }] }],
    fails: [
      {
        pod: { 'spec.volumes': [{ name: 'h', hostPath: { path: '/' } }] },
        says: 'hostPath volumes (volume "h")',
      },
      {
        pod: {
          'spec.volumes': [
            { name: 'h', hostPath: { path: '/' } },
            { name: 'g', hostPath: { path: '/x' } },
          ],
        },
        says: 'hostPath volumes (volumes "h", "g")',
      },
    ],
  },
  {
    control: 'hostPorts',
    passes: [{ 'c.ports': [{ containerPort: 80 }] }, { 'c.ports': [{ containerPort: 80, hostPort: 0 }] }],
    fails: [
      {
        pod: { 'c.ports': [{ containerPort: 80, hostPort: 8080 }] },
        says: 'hostPort (container "c" uses hostPort 8080)',
      },
      {
        pod: {
          'c.ports': [{ containerPort: 80, hostPort: 9 }],
          'spec.initContainers': [{ ...second, ports: [{ containerPort: 1, hostPort: 10 }] }],
        },
        says: 'hostPort (containers "d", "c" use hostPorts 10, 9)',
      },
    ],
  },
  {
    control: 'hostProbesAndHostLifecycle',
    passes: [{ 'c.livenessProbe': { httpGet: { port: 80, host: '' } } }],
    fails: [
      {
        pod: { 'c.readinessProbe': { tcpSocket: { port: 80, host: '1.2.3.4' } } },
        says: 'probe or lifecycle host (container "c" uses probe or lifecycle host "1.2.3.4")',
        since: 34,
      },
      {
        pod: {
          'c.lifecycle': { preStop: { httpGet: { port: 80, host: '4.3.2.1' } } },
          'c.startupProbe': { httpGet: { port: 80, host: '1.2.3.4' } },
          'spec.initContainers': [
            { ...second, lifecycle: { postStart: { tcpSocket: { port: 1, host: '1.2.3.4' } } } },
          ],
        },
        says: 'probe or lifecycle host (containers "c", "d" use probe or lifecycle hosts "1.2.3.4", "4.3.2.1")',
        since: 34,
      },
    ],
  },
  {
    control: 'privileged',
    passes: [{ 'c.securityContext.privileged': false }],
    fails: [
      {
        pod: { 'c.securityContext.privileged': true },
        says: 'privileged (container "c" must not set securityContext.privileged=true)',
      },
      {
        pod: { 'spec.ephemeralContainers': [{ ...second, securityContext: { privileged: true } }] },
        says: 'privileged (container "d" must not set securityContext.privileged=true)',
      },
    ],
  },
  {
    control: 'procMount',
    passes: [{ 'c.securityContext.procMount': 'Default' }],
    fails: [
      {
        pod: { 'c.securityContext.procMount': 'Unmasked' },
        says: 'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
      },
      {
        pod: { 'c.securityContext.procMount': 'Unmasked', ...ownUsers },
        says: 'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        until: 35,
      },
    ],
  },
  {
    control: 'seLinuxOptions',
    passes: [{ 'c.securityContext.seLinuxOptions': { type: 'container_kvm_t', level: 's0' } }],
    fails: [
      {
        pod: { 'c.securityContext.seLinuxOptions': { type: 'foo_t', user: 'u', role: 'r' } },
        says: 'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "foo_t"; user may not be set; role may not be set)',
      },
      {
        pod: { 'spec.securityContext.seLinuxOptions': { role: 'r' } },
        says: 'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: role may not be set)',
      },
      {
        pod: { 'c.securityContext.seLinuxOptions': { type: 'container_engine_t' } },
        says: 'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "container_engine_t")',
        until: 31,
      },
    ],
  },
  {
    control: 'seccompProfile_baseline',
    passes: [
      { 'c.securityContext.seccompProfile': undefined },
      { 'metadata.annotations': { 'seccomp.security.alpha.kubernetes.io/pod': 'docker/default' } },
    ],
    fails: [
      {
        pod: { 'metadata.annotations': { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' } },
        says: 'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")',
        until: 19,
      },
      {
        pod: { 'c.securityContext.seccompProfile': { type: 'Unconfined' } },
        says: 'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
        since: 19,
      },
      {
        pod: { 'spec.securityContext.seccompProfile': { type: 'Unconfined' } },
        says: 'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        since: 19,
      },
    ],
  },
  {
    control: 'sysctls',
    passes: [{ 'spec.securityContext.sysctls': [{ name: 'net.ipv4.tcp_syncookies', value: '1' }] }],
    fails: [
      {
        pod: {
          'spec.securityContext.sysctls': [
            { name: 'kernel.msgmax', value: '1' },
            { name: 'net.ipv4.ip_unprivileged_port_start', value: '1' },
            { name: 'net.core.somaxconn', value: '1' },
          ],
        },
        says: 'forbidden sysctls (kernel.msgmax, net.core.somaxconn)',
      },
      ...[
        { name: 'net.ipv4.ip_local_reserved_ports', until: 27 },
        { name: 'net.ipv4.tcp_keepalive_time', until: 29 },
        { name: 'net.ipv4.tcp_rmem', until: 32 },
      ].map(({ name, until }) => ({
        pod: { 'spec.securityContext.sysctls': [{ name, value: '1' }] },
        says: `forbidden sysctls (${name})`,
        until,
      })),
    ],
  },
  {
    control: 'windowsHostProcess',
    passes: [{ 'c.securityContext.windowsOptions': { hostProcess: false } }],
    fails: [
      {
        pod: {
          'spec.securityContext.windowsOptions': { hostProcess: true },
          'c.securityContext.windowsOptions': { hostProcess: true },
        },
        says: 'hostProcess (pod and container "c" must not set securityContext.windowsOptions.hostProcess=true)',
      },
    ],
  },
];

/** What restricted adds. */
export const restrictedRows: readonly ControlRow[] = [
  {
    control: 'allowPrivilegeEscalation',
    passes: [{}],
    fails: [
      {
        pod: { 'c.securityContext.allowPrivilegeEscalation': undefined },
        says: 'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
        since: 8,
      },
      {
        pod: { 'c.securityContext.allowPrivilegeEscalation': undefined, ...windows },
        says: 'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false)',
        since: 8,
        until: 25,
      },
    ],
  },
  {
    control: 'capabilities_restricted',
    passes: [{ 'c.securityContext.capabilities': { drop: ['ALL'], add: ['NET_BIND_SERVICE'] } }],
    fails: [
      {
        pod: { 'c.securityContext.capabilities': { drop: ['NET_RAW'], add: ['CHOWN'] } },
        says: 'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]; container "c" must not include "CHOWN" in securityContext.capabilities.add)',
        since: 22,
      },
      {
        pod: { 'c.securityContext.capabilities': undefined, ...windows },
        says: 'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])',
        since: 22,
        until: 25,
      },
    ],
  },
  {
    control: 'procMount_restricted',
    passes: [{ 'c.securityContext.procMount': 'Default', ...ownUsers }],
    fails: [
      {
        // Before, baseline's control says the same.
        pod: { 'c.securityContext.procMount': 'Unmasked', ...ownUsers },
        says: 'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
      },
    ],
  },
  {
    control: 'restrictedVolumes',
    passes: [
      {
        'spec.volumes': [
          ...['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral'].map((type) => ({
            name: type,
            [type]: {},
          })),
          ...['image', 'persistentVolumeClaim', 'projected', 'secret'].map((type) => ({
            name: type,
            [type]: {},
          })),
        ],
      },
    ],
    fails: [
      {
        pod: { 'spec.volumes': [{ name: 'h', hostPath: { path: '/' } }] },
        says: 'restricted volume types (volume "h" uses restricted volume type "hostPath")',
      },
      {
        pod: {
          'spec.volumes': [
            { name: 'n', nfs: { server: 's', path: '/' } },
            { name: 'e', emptyDir: {} },
            { name: 'i', iscsi: {} },
          ],
        },
        says: 'restricted volume types (volumes "n", "i" use restricted volume types "iscsi", "nfs")',
      },
    ],
  },
  {
    control: 'runAsNonRoot',
    passes: [{ 'c.securityContext.runAsNonRoot': undefined, 'spec.securityContext.runAsNonRoot': true }],
    fails: [
      {
        pod: { 'c.securityContext.runAsNonRoot': undefined },
        says: 'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
      },
      {
        pod: { 'c.securityContext.runAsNonRoot': false, 'spec.securityContext.runAsNonRoot': true },
        says: 'runAsNonRoot != true (container "c" must not set securityContext.runAsNonRoot=false)',
      },
      {
        pod: { 'c.securityContext.runAsNonRoot': undefined, ...ownUsers },
        says: 'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
        until: 35,
      },
    ],
  },
  {
    control: 'runAsUser',
    passes: [{ 'c.securityContext.runAsUser': 1000 }],
    fails: [
      {
        pod: { 'c.securityContext.runAsUser': 0, 'spec.securityContext.runAsUser': 0 },
        says: 'runAsUser=0 (pod and container "c" must not set runAsUser=0)',
        since: 23,
      },
      {
        pod: { 'c.securityContext.runAsUser': 0, ...ownUsers },
        says: 'runAsUser=0 (container "c" must not set runAsUser=0)',
        since: 23,
        until: 35,
      },
    ],
  },
  {
    control: 'seccompProfile_restricted',
    passes: [
      {
        'c.securityContext.seccompProfile': undefined,
        'spec.securityContext.seccompProfile': { type: 'RuntimeDefault' },
      },
    ],
    fails: [
      {
        pod: { 'c.securityContext.seccompProfile': undefined },
        says: 'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
        since: 19,
      },
      {
        pod: { 'c.securityContext.seccompProfile': { type: 'Unconfined' } },
        says: 'seccompProfile (container "c" must not set securityContext.seccompProfile.type to "Unconfined")',
        since: 19,
      },
      {
        pod: { 'c.securityContext.seccompProfile': undefined, ...windows },
        says: 'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
        since: 19,
        until: 25,
      },
    ],
  },
];

/** Each that begins a version of some control, the one before, and what stands for the newest. */
export const judgedVersions: readonly Version[] = [
  ...[0, 7, 8, 18, 19, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36],
  ...[99, 'latest' as const],
];

export function at(level: LevelVersion['level'], version: Version): LevelVersion {
  return { level, version };
}
