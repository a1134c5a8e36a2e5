/** firewalld, which by rules of its own drops what it does not know: a container's address is made a source of a zone (firewalld.dbus(5)). */
import { systemClock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { CniResult } from '#api/cni/result.ts';
import { bitsOf, formatIp, parseCidr } from '#base/ip.ts';
import { openBus, systemBus, type Bus } from '#native/dbus/bus.ts';

const destination = 'org.fedoraproject.FirewallD1';
const zones = {
  destination,
  path: '/org/fedoraproject/FirewallD1',
  interface: 'org.fedoraproject.FirewallD1.zone',
} as const;

/** In whose zone the addresses are to be. */
export interface Sources {
  readonly zone: string;
  /** CIDRs of one address each. */
  readonly addresses: readonly string[];
}

/** Pure. */
export function planSources(zone: string, { ips }: CniResult): Sources {
  const addresses = ips.flatMap(({ address }) => {
    const ip = parseCidr(address)?.ip;
    return ip === undefined ? [] : [`${formatIp(ip)}/${bitsOf(ip.family)}`];
  });
  return { zone, addresses };
}

async function connect(): Promise<Bus> {
  const path = process.env['DBUS_SYSTEM_BUS_ADDRESS']?.replace(/^unix:path=/, '') || systemBus;
  return openBus(path, { clock: systemClock, onSignal: () => undefined });
}

/** Whether somebody on the bus is firewalld; without a bus nobody is. */
export async function isFirewalldThere(): Promise<boolean> {
  try {
    using bus = await connect();
    const own = { destination: 'org.freedesktop.DBus', path: '/org/freedesktop/DBus' };
    await bus.call({
      ...own,
      interface: 'org.freedesktop.DBus',
      member: 'GetNameOwner',
      arguments: [{ type: 's', value: destination }],
    });
    return true;
  } catch (error) {
    if (isPodwrightError(error)) return false;
    throw error;
  }
}

/** What is there already is as it should be. @throws {E_CONNECTION} also for an address that another zone has */
export async function addSources({ zone, addresses }: Sources): Promise<void> {
  using bus = await connect();
  for (const address of addresses) {
    if (await hasSource(bus, zone, address)) continue;
    await bus.call({ ...zones, member: 'addSource', arguments: textsOf(zone, address) });
  }
}

/** What is not there is gone. */
export async function removeSources({ zone, addresses }: Sources): Promise<void> {
  using bus = await connect();
  for (const address of addresses) {
    if (await hasSource(bus, zone, address))
      await bus.call({ ...zones, member: 'removeSource', arguments: textsOf(zone, address) });
  }
}

export async function missingSources({ zone, addresses }: Sources): Promise<readonly string[]> {
  using bus = await connect();
  const missing: string[] = [];
  for (const address of addresses) if (!(await hasSource(bus, zone, address))) missing.push(address);
  return missing;
}

async function hasSource(bus: Bus, zone: string, address: string): Promise<boolean> {
  const [answer] = await bus.call({ ...zones, member: 'querySource', arguments: textsOf(zone, address) });
  return answer?.type === 'b' && answer.value;
}

const textsOf = (...texts: readonly string[]) => texts.map((value) => ({ type: 's', value }) as const);
