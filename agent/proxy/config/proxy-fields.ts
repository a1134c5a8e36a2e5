/**
 * Every field of KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1, of 1.36), with its shape and what becomes of it. A field that has
 * no effect here is named to whoever sets it to something else than what is so anyway.
 */
import { acted, fixed, type ConfigurationField } from '#api/config/field-effects.ts';

const periods = 'changes are written as they come, and what others remove is seen by the kernel’s events';
const noDesktop = 'there are no nodes of Windows';
const noIpvs = 'there is no such mode';
const inside = 'the proxy is in the agent, which asks with what --credentials has';
const limits = 'how many connections the host tracks is the host’s';

export const proxyFields: Readonly<Record<string, ConfigurationField>> = {
  mode: acted('string'),
  clusterCIDR: acted('string'),
  healthzBindAddress: acted('string'),
  metricsBindAddress: acted('string'),
  conntrack: acted({
    maxPerCore: 'integer',
    min: 'integer',
    tcpEstablishedTimeout: 'duration',
    tcpCloseWaitTimeout: 'duration',
    tcpBeLiberal: 'boolean',
    udpTimeout: 'duration',
    udpStreamTimeout: 'duration',
  }),
  iptables: acted({
    masqueradeBit: 'integer',
    masqueradeAll: 'boolean',
    localhostNodePorts: 'boolean',
    syncPeriod: 'duration',
    minSyncPeriod: 'duration',
  }),
  nftables: acted({
    masqueradeBit: 'integer',
    masqueradeAll: 'boolean',
    syncPeriod: 'duration',
    minSyncPeriod: 'duration',
  }),
  ipvs: fixed('any', noIpvs, {}),
  winkernel: fixed('any', noDesktop, {}),
  windowsRunAsService: fixed('boolean', noDesktop, false),
  detectLocalMode: fixed('string', 'pods are known by the range of their addresses', '', 'ClusterCIDR'),
  detectLocal: fixed('any', 'pods are known by the range of their addresses', {}),
  nodePortAddresses: acted(['string']),
  bindAddress: fixed('string', 'the family of the node is that of --node-ip', '', '0.0.0.0', '::'),
  bindAddressHardFail: fixed('boolean', 'a port that is taken is tried again', false),
  hostnameOverride: fixed('string', 'the name of the node is that of its credentials', ''),
  clientConnection: fixed('any', inside, {}),
  configSyncPeriod: fixed('duration', 'Services are watched', '15m', '15m0s', '0s'),
  portRange: fixed('string', 'ports of the host are any that are free', ''),
  oomScoreAdj: fixed('integer', inside, -999),
  enableProfiling: fixed('boolean', 'profiles are at the node’s own port', false),
  showHiddenMetricsForVersion: fixed('string', 'no metrics are hidden', ''),
  featureGates: fixed('any', 'what is there is always on', {}),
  logging: fixed('any', 'logs are JSON lines on stderr, by PODWRIGHT_LOG_LEVEL', {}),
};

/** Members of what is acted on that have no effect: the value that is so anyway, and why others have none. */
export const fixedMembers: readonly (readonly [path: string, values: readonly unknown[], why: string])[] = [
  ['iptables.masqueradeBit', [14], 'it is bit 14'],
  ['iptables.syncPeriod', ['30s', '0s'], periods],
  ['iptables.minSyncPeriod', ['1s', '0s'], periods],
  ['nftables.masqueradeBit', [14], 'it is bit 14'],
  ['nftables.syncPeriod', ['30s', '0s'], periods],
  ['nftables.minSyncPeriod', ['1s', '0s'], periods],
  ['conntrack.maxPerCore', [0], limits],
  ['conntrack.min', [0], limits],
];
