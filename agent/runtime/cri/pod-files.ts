/** The files that a container sees of its pod's names: of the client's dns_config, or as the host has them. */
import { mkdirSync } from 'node:fs';
import { writeDurablySync } from '#base/durable-file.ts';
import type { DNSConfig } from '#proto/cri/api.ts';
import { refusal } from '#proto/status.ts';
import type { HostNames } from '#agent/node/host-names.ts';
import type { SandboxConfig } from '#agent/runtime/runtime.ts';
import { setXattr } from '#native/sys/file.ts';
import type { LaunchMount } from '#native/launch/launch.ts';

const targets = {
  'resolv.conf': '/etc/resolv.conf',
  hosts: '/etc/hosts',
  hostname: '/etc/hostname',
} as const;

/** Of a directory of logs that a client of CRI named: it is that client's to remove, also where the node's kubelet has its own. */
export const clientLogsXattr = 'trusted.podwright.cri';

/** Makes the directory, and marks it. */
export function claimLogDirectory(directory: string): void {
  if (directory === '') return;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  setXattr(directory, clientLogsXattr, Buffer.from('1'));
}

/** Writes them below the directory of a sandbox. @throws INVALID_ARGUMENT */
export function makePodFiles(
  directory: string,
  sandbox: Pick<SandboxConfig, 'hostname' | 'hostNetwork'>,
  dns: DNSConfig | null,
  host: Pick<HostNames, 'hosts' | 'resolvConf'>,
): void {
  const texts: Readonly<Record<keyof typeof targets, string>> = {
    'resolv.conf': renderResolvConf(dns) ?? host.resolvConf(),
    hosts: sandbox.hostNetwork ? host.hosts() : hostsText,
    hostname: `${sandbox.hostname}\n`,
  };
  mkdirSync(`${directory}/files`, { recursive: true, mode: 0o755 });
  for (const [name, text] of Object.entries(texts))
    writeDurablySync(`${directory}/files/${name}`, text, { survives: 'kill', mode: 0o644 });
}

const hostsText = '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n';

/** The mounts of those files; what a client mounts there itself goes before. */
export function podFileMounts(
  directory: string,
  sandbox: Pick<SandboxConfig, 'hostNetwork'>,
): readonly LaunchMount[] {
  return Object.entries(targets)
    .filter(([name]) => name !== 'hostname' || !sandbox.hostNetwork)
    .map(([name, target]) => ({
      type: 'bind',
      source: `${directory}/files/${name}`,
      target,
      isFile: true,
      options: ['rbind', 'rprivate'],
    }));
}

/** Undefined where the client says nothing. Pure. @throws INVALID_ARGUMENT for what would be a line of its own */
export function renderResolvConf(dns: DNSConfig | null): string | undefined {
  if (dns === null || [...dns.servers, ...dns.searches, ...dns.options].length === 0) return undefined;
  const { servers, searches, options } = dns;
  const odd = [...servers, ...searches, ...options].find((word) => word === '' || /[\s\0]/.test(word));
  if (odd !== undefined) throw refusal('INVALID_ARGUMENT', `dns_config: ${JSON.stringify(odd)} is no word`);
  return [
    ...(searches.length === 0 ? [] : [`search ${searches.join(' ')}`]),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.length === 0 ? [] : [`options ${options.join(' ')}`]),
  ]
    .map((line) => `${line}\n`)
    .join('');
}
