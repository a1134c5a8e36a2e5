/**
 * A cloud that exists only in tests: machines, balancers and routes in one state, which a file may keep for another process. A module of
 * `--cloud-provider`: `--cloud-config` names the file.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Service } from '#api/generated/objects.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Cloud, CloudInstance, CloudRoute, CreateCloud } from './cloud.ts';

export interface ToyState {
  /** By node name. */
  instances: Record<string, CloudInstance>;
  /** By the Service's uid. */
  balancers: Record<
    string,
    { readonly ip: string; readonly ports: readonly number[]; hosts: readonly string[] }
  >;
  routes: CloudRoute[];
  /** The next call of this name fails, with this message. */
  fails: Record<string, string>;
  /** Calls, in order. */
  calls: string[];
}

export const emptyState = (): ToyState => ({
  ...{ instances: {}, balancers: {}, routes: [], fails: {}, calls: [] },
});

export function toyInstance(name: string, more: Partial<CloudInstance> = {}): CloudInstance {
  return {
    providerId: `toy://${name}`,
    ...{ type: 'toy.small', zone: 'toy-1a', region: 'toy-1' },
    addresses: [
      { type: 'InternalIP', address: '10.9.0.1' },
      { type: 'ExternalIP', address: '203.0.113.1' },
    ],
    ...more,
  };
}

/** @param use reads the state, has it changed, and keeps it */
export function createToyCloud(use: <R>(work: (state: ToyState) => R) => R): Cloud {
  const call = async <R>(name: string, about: string, work: (state: ToyState) => R): Promise<R> => {
    await Promise.resolve();
    return use((state) => {
      state.calls.push(`${name} ${about}`);
      const failure = state.fails[name];
      delete state.fails[name];
      if (failure !== undefined) throw new PodwrightError('E_CONNECTION', failure);
      return work(state);
    });
  };
  const uidOf = ({ metadata }: Service): string => metadata?.uid ?? '';
  const nameOf = ({ metadata }: { readonly metadata?: { readonly name?: string | undefined } | undefined }) =>
    metadata?.name ?? '';
  return {
    name: 'toy',
    instances: {
      find: (node) => call('find instance', nameOf(node), ({ instances }) => instances[nameOf(node)]),
    },
    loadBalancers: {
      find: (service) =>
        call('find balancer', nameOf(service), ({ balancers }) => {
          const one = balancers[uidOf(service)];
          return one === undefined ? undefined : { ingress: [{ ip: one.ip, ipMode: 'VIP' }] };
        }),
      ensure: (service, nodes) =>
        call('ensure balancer', nameOf(service), ({ balancers }) => {
          const ip = balancers[uidOf(service)]?.ip ?? `198.51.100.${Object.keys(balancers).length + 1}`;
          const ports = (service.spec?.ports ?? []).map(({ port }) => port);
          balancers[uidOf(service)] = { ip, ports, hosts: nodes.map(nameOf).toSorted() };
          return { kind: 'ready', status: { ingress: [{ ip, ipMode: 'VIP' }] } } as const;
        }),
      update: (service, nodes) =>
        call('update balancer', nameOf(service), ({ balancers }) => {
          const one = balancers[uidOf(service)];
          if (one === undefined) throw new PodwrightError('E_NOT_FOUND', 'no such balancer');
          one.hosts = nodes.map(nameOf).toSorted();
        }),
      delete: (service) =>
        call('delete balancer', nameOf(service), ({ balancers }) => {
          delete balancers[uidOf(service)];
        }),
    },
    routes: {
      list: () => call('list routes', '', ({ routes }) => [...routes]),
      create: (route, hint) =>
        call('create route', `${route.node ?? ''} ${route.destination}`, (state) => {
          state.routes.push({ ...route, name: `${hint}-${route.destination}` });
        }),
      delete: (route) =>
        call('delete route', `${route.node ?? ''} ${route.destination}`, (state) => {
          state.routes = state.routes.filter(({ name }) => name !== route.name);
        }),
    },
  };
}

export function readState(file: string): ToyState {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as ToyState) : emptyState();
}

export function writeState(file: string, state: ToyState): void {
  writeFileSync(`${file}.new`, JSON.stringify(state));
  renameSync(`${file}.new`, file);
}

export const createCloud: CreateCloud = ({ config = '' }) => {
  const file = config.trim();
  return createToyCloud((work) => {
    const state = readState(file);
    try {
      return work(state);
    } finally {
      writeState(file, state);
    }
  });
};
