import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';

import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type { IpFamily } from '#base/ip.ts';
import { ownNetns, type Netlink, type NetnsRef } from '#native/netlink/netlink.ts';
import type { Nft, NftOp } from '#native/nft/nft.ts';
import {
  forwardingKey,
  planNat,
  planNatCable,
  renderClusterNat,
  renderMachineNat,
  type NatPlan,
} from './plan-nat.ts';

/** Of the machine's own network namespace, and of the cluster's. */
export interface NatPorts {
  readonly nft: Nft;
  readonly netlink: Pick<Netlink, 'apply' | 'state'>;
}

export interface NatOptions {
  /** The cluster's directory, in which is written down what the machine has of it, and its id. */
  readonly dataDir: string;
  readonly id: string;
  /** The namespace through which the nodes leave. */
  readonly netns: NetnsRef;
  readonly families: readonly IpFamily[];
  /** Networks that are the cluster's own. */
  readonly ownCidrs: readonly string[];
}

/**
 * A cable between the machine and the cluster, and a table of the machine's own that gives what comes by it the machine's address. What is
 * made is written down before; disposing removes it, and after a crash `removeNat`. Whether the machine forwards is its own: it must.
 *
 * @throws E_UNSUPPORTED where the machine does not forward; E_CONFLICT where a name or all addresses are taken
 */
export async function openNat(options: NatOptions, ports: NatPorts): Promise<AsyncDisposable> {
  const { dataDir, id, netns, families, ownCidrs } = options;
  const { nft, netlink } = ports;
  for (const family of families) await requireForwarding(family);
  const machine = await netlink.state(ownNetns);
  const taken = [
    ...machine.addresses.map(({ address }) => address),
    ...machine.routes.map(({ destination }) => destination),
  ];
  const plan = planNat(id, families, taken);
  await requireFree(plan, machine.links, nft);

  await writeDurably(
    markOf(dataDir),
    `${JSON.stringify({ link: plan.link, table: plan.tables[0]?.name })}\n`,
  );
  await using undo = new AsyncDisposableStack();
  undo.defer(() => removeNat(dataDir, id, ports));
  const cable = planNatCable(plan, netns);
  // The rules first: by the time that a packet comes, it has an address that others may see.
  await nft.commit(
    ownNetns,
    plan.families.map((family): NftOp => ({ op: 'replaceTable', table: renderMachineNat(plan, family) })),
  );
  await nft.commit(
    netns,
    plan.families.map((family): NftOp => ({ op: 'replaceTable', table: renderClusterNat(family, ownCidrs) })),
  );
  await netlink.apply(ownNetns, cable.inMachine);
  await netlink.apply(netns, cable.inCluster);
  return undo.move();
}

/** Removes what `openNat` made for a cluster, if it says that it did. */
export async function removeNat(dataDir: string, id: string, { nft, netlink }: NatPorts): Promise<void> {
  if (!(await hasNat(dataDir, id))) return;
  const { link, tables } = planNat(id, [4, 6], []);
  await netlink.apply(ownNetns, [{ op: 'removeLink', name: link }]);
  for (const table of tables)
    if (await nft.hasTable(ownNetns, table)) await nft.commit(ownNetns, [{ op: 'removeTable', table }]);
  await rm(markOf(dataDir), { force: true });
}

const markOf = (dataDir: string): string => join(dataDir, 'nat.json');

/** Whether the machine may have something of the cluster: what it would be called must be what was written down. */
export async function hasNat(dataDir: string, id: string): Promise<boolean> {
  try {
    const mark: unknown = JSON.parse(await readFile(markOf(dataDir), 'utf8'));
    return stringOf(at(mark, 'link')) === planNat(id, [], []).link;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return false;
    throw error;
  }
}

async function requireForwarding(family: IpFamily): Promise<void> {
  const key = forwardingKey(family);
  const value = await readFile(`/proc/sys/${key.replaceAll('.', '/')}`, 'utf8').catch(() => '0');
  if (value.trim() !== '0') return;
  throw new PodwrightError(
    'E_UNSUPPORTED',
    `start a cluster with --egress=nat: this machine forwards no packets of IPv${family}; sysctl -w ${key}=1, or take --egress, which changes nothing of it`,
  );
}

async function requireFree(
  { link, tables }: NatPlan,
  links: readonly { readonly name: string }[],
  nft: Nft,
): Promise<void> {
  const isTaken = links.some(({ name }) => name === link);
  const other = isTaken ? undefined : await findTable(tables, nft);
  if (!isTaken && other === undefined) return;
  throw new PodwrightError(
    'E_CONFLICT',
    `start a cluster with --egress=nat: this machine has ${isTaken ? `a link ${link}` : `a table ${other}`} already, which no cluster of this directory made`,
  );
}

async function findTable(tables: NatPlan['tables'], nft: Nft): Promise<string | undefined> {
  for (const table of tables) if (await nft.hasTable(ownNetns, table)) return `${table.family} ${table.name}`;
  return undefined;
}
