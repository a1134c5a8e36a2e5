/** What is wrong with the options of `server`, before anything is written or started. Pure. */
import { parseDurationMs } from '#api/meta/duration.ts';
import { dnsSubdomain } from '#api/validation/format.ts';
import { describeError } from '#base/errors.ts';
import { cidrContains, familyOfIp, parseCidr, parseIp, withoutZone } from '#base/ip.ts';
import { parseEndpoints } from '#control-plane/store/etcd/endpoints.ts';
import { authenticationProblems } from '#bin/program/authentication-settings.ts';
import type { ServerCommandOptions } from './command-options.ts';
import {
  addressProblems,
  advertisedFamilyProblems,
  networkProblems,
  nodePrefixProblems,
  nodeProblems,
} from './network-problems.ts';
import { auditFlagProblems } from '#bin/audit/read-audit.ts';
import { encryptionFlagProblems } from '#bin/encryption/encryption-flags.ts';
import { etcdListenProblems } from '#bin/etcd-listen.ts';
import { admissionProblems } from '#bin/admission/admission-options.ts';
import { authorizationProblems } from '#bin/authorization/authorization-options.ts';
import { controllerProblems } from './controller-options.ts';
import { schedulerProblems } from '#bin/scheduler/scheduler-options.ts';
import { flowControlProblems } from './flow-control-options.ts';
import { durationProblems, nameProblems } from './option-problems.ts';
import { runtimeConfigProblems } from './runtime-config.ts';

/** All that is wrong, each beginning with the option's name. */
export function serverOptionProblems(options: ServerCommandOptions): readonly string[] {
  const { advertiseAddress, listen, listenFd, node, adminServer } = options;
  return [
    ...addressProblems('--advertise-address', advertiseAddress),
    ...virtualAddressProblems(options),
    ...(listen.length === 0 && listenFd === undefined ? ['--listen: give HOST:PORT at least once'] : []),
    ...listen.flatMap((text) => listenProblems('--listen', text)),
    ...nodeProblems(node, nameProblems),
    ...networkProblems(options),
    ...nodePrefixProblems(options),
    ...advertisedFamilyProblems(options),
    ...(adminServer === undefined || isHttpsUrl(adminServer)
      ? []
      : [`--admin-server ${adminServer}: not an https URL`]),
    ...authenticationProblems(options),
    ...authorizationProblems(options),
    ...schedulerProblems(options),
    ...runtimeConfigProblems(options),
    ...admissionProblems(options),
    ...flowControlProblems(options),
    ...controllerProblems(options),
    ...signingProblems(options),
    ...classProblems(options),
    ...etcdProblems(options),
    ...etcdListenProblems(options, listenProblems),
    ...auditFlagProblems(options),
    ...encryptionFlagProblems(options),
  ];
}

function virtualAddressProblems(options: ServerCommandOptions): readonly string[] {
  const { virtualAddress = [], advertiseAddress, etcdServers = [], etcdListen = [], serviceCidr } = options;
  const option = '--virtual-address';
  const families = virtualAddress.map(familyOfIp);
  const own = familyOfIp(advertiseAddress);
  const networks = serviceCidr.flatMap((text) => parseCidr(text) ?? []);
  return [
    ...virtualAddress.flatMap((text) => addressProblems(option, text)),
    ...virtualAddress.flatMap((text) => {
      const ip = parseIp(text);
      if (ip !== undefined && networks.some((cidr) => cidrContains(cidr, ip)))
        return [`${option} ${text}: within --service-cidr; take an address of the servers' link`];
      if (text === advertiseAddress) return [`${option} ${text}: --advertise-address is this server's own`];
      return ip !== undefined && ip.family !== own
        ? [`${option} ${text}: not of the family of --advertise-address ${advertiseAddress}`]
        : [];
    }),
    ...(new Set(families).size < families.length ? [`${option}: give one address`] : []),
    ...(virtualAddress.length > 0 && etcdServers.length + etcdListen.length === 0
      ? [`${option}: servers that share it share a store: give --etcd-servers or --etcd-listen`]
      : []),
  ];
}

function signingProblems({ clusterSigningDuration: text }: ServerCommandOptions): readonly string[] {
  const option = '--cluster-signing-duration';
  const problems = durationProblems(option, text);
  return problems.length === 0 && parseDurationMs(text) === 0
    ? [`${option} ${text}: must be more than 0`]
    : problems;
}

function classProblems({ localStorageClass: name }: ServerCommandOptions): readonly string[] {
  const [problem] = dnsSubdomain(name);
  return problem === undefined ? [] : [`--local-storage-class ${name}: ${problem}`];
}

function etcdProblems(options: ServerCommandOptions): readonly string[] {
  const { etcdServers = [], etcdCafile, etcdCertfile, etcdKeyfile } = options;
  const files = {
    '--etcd-cafile': etcdCafile,
    '--etcd-certfile': etcdCertfile,
    '--etcd-keyfile': etcdKeyfile,
  };
  const [file] = Object.entries(files).flatMap(([option, path]) => (path === undefined ? [] : [option]));
  if (etcdServers.length === 0) return file === undefined ? [] : [`${file}: give --etcd-servers too`];
  if ((etcdCertfile === undefined) !== (etcdKeyfile === undefined))
    return ['--etcd-certfile and --etcd-keyfile: give both or neither'];
  try {
    const { isSecure } = parseEndpoints(etcdServers);
    return isSecure || file === undefined ? [] : [`${file}: --etcd-servers are http, without TLS`];
  } catch (error) {
    return [`--etcd-servers: ${describeError(error)}`];
  }
}

function listenProblems(option: string, text: string): readonly string[] {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port < 1 || port > 65_535) return [`${option} ${text}: write HOST:PORT`];
  const [, bracketed, bare = ''] = match;
  const host = bracketed ?? bare;
  const isHost =
    bracketed === undefined
      ? familyOfIp(bare) === 4 || (!/^[\d.]+$/.test(bare) && dnsSubdomain(bare).length === 0)
      : familyOfIp(withoutZone(bracketed)) === 6 && !bracketed.endsWith('%');
  if (!isHost) {
    return [`${option} ${text}: ${host} is neither an IP address nor a host name`];
  }
  return [];
}

function isHttpsUrl(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'https:';
}
