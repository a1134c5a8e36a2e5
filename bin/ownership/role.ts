/** Kinds of directories that are podwright's, and what it puts into each. Pure. */

import { isDraft } from '#base/durable-file.ts';

/** `up`: --data of podwright up; `server`, `agent`: --data of these; `run`: --run of an agent, volatile and wholly its own; `logs`: its --pod-logs-dir. */
export type OwnedRole = 'up' | 'server' | 'agent' | 'run' | 'logs';

interface RoleEntries {
  readonly names: readonly string[];
  readonly pattern?: RegExp;
  /** In a directory from before there were markers: files that nothing but this role writes, all of one list. */
  readonly evidence: readonly (readonly string[])[];
  /** Written by who starts the role, before it claims its directory. */
  readonly early?: RegExp;
  /** A directory that whoever sets the role up may put there first: it has all of `must`, and nothing but `may` beside them. */
  readonly given?: {
    readonly name: string;
    readonly must: readonly string[];
    readonly may: readonly string[];
  };
}

const authorityFiles = ['ca.crt', 'ca.key', 'sa.key'];
const issuedFiles = [
  'admin',
  'apiserver',
  'apiserver-kubelet-client',
  'front-proxy-ca',
  'front-proxy-client',
].flatMap((name) => [`${name}.crt`, `${name}.key`]);

const entriesByRole: Readonly<Record<OwnedRole, RoleEntries>> = {
  up: {
    names: ['server', 'kubeconfig', 'egress.sock', 'resolv.conf', 'up.json', 'options.json'],
    pattern: /^(node-\d{1,3}|up\.log(\..*)?|(up|options)\.json\.new)$/,
    evidence: [['server/pki/ca.key', 'server/store/store.db']],
  },
  server: {
    names: ['store', 'pki', 'nodes', 'kubeconfig'],
    pattern: /^(server\.log(\..*)?|store\.(mark|damaged|salvage)[\w.-]*)$/,
    evidence: [
      ['pki/ca.key', 'store/store.db'],
      ['pki/ca.key', 'store.mark'],
    ],
    early: /^server\.log(\..*)?$/,
    given: { name: 'pki', must: authorityFiles, may: issuedFiles }, // Of the other servers of a cluster.
  },
  agent: {
    names: [
      'images',
      'layers',
      'containers',
      'pods',
      'volumes',
      'logs',
      'cni',
      'agent.sock',
      'credentials',
      'wireguard.key',
      'kubelet',
    ],
    pattern:
      /^(\.credentials\.draft(\.old)?|agent\.log(\..*)?|cluster\.json[\w.-]*|devices\.json[\w.-]*|(cpu|memory)_manager_state[\w.-]*|supervisor-\w+-[0-9a-f]{16})$/,
    evidence: [['images/images.json', 'images/blobs/sha256', 'layers']],
    early: /^(agent\.log(\..*)?|logs)$/,
  },
  run: { names: [], pattern: /^/, evidence: [['pods', 'netns']] },
  logs: { names: [], pattern: /^[a-z0-9.-]{1,253}_[a-z0-9.-]{1,253}_[^_]+$/, evidence: [] },
};

export const roles: readonly OwnedRole[] = ['up', 'server', 'agent', 'run', 'logs'];

/** The program that uses a directory of the role. */
export const programOf = (role: OwnedRole): string => (role === 'run' || role === 'logs' ? 'agent' : role);

/** Holds who made the directory; the process that uses it holds a lock on it. */
export const markerName = (role: OwnedRole): string => `.podwright-${role}`;

/** Whether a role puts an entry of this name into its directory. */
export function isEntryOf(role: OwnedRole, name: string): boolean {
  const { names, pattern } = entriesByRole[role];
  const file = isDraft(name) ? name.replace(/^\./, '').replace(/\.[\d-]+\.draft$/, '') : name;
  return names.includes(file) || pattern?.test(file) === true;
}

export const evidenceOf = (role: OwnedRole): readonly (readonly string[])[] => entriesByRole[role].evidence;

/** The directory that may be there before a role claims the one around it; undefined: none. */
export const givenName = (role: OwnedRole): string | undefined => entriesByRole[role].given?.name;

/** Whether what is in that directory is what it is for: of somebody else's it is not taken by its name alone. */
export function isGiven(role: OwnedRole, names: readonly string[]): boolean {
  const { must = [], may = [] } = entriesByRole[role].given ?? {};
  return (
    must.length > 0 &&
    must.every((name) => names.includes(name)) &&
    names.every((name) => [...must, ...may].includes(name))
  );
}

/**
 * Names in a directory without the role's marker that say it is somebody else's: all but markers and entries of the roles that
 * have one, logs that are begun before, and what a new file system has.
 */
export function foreignEntries(names: readonly string[], role: OwnedRole): readonly string[] {
  const here = roles.filter((each) => each !== 'run' && each !== 'logs' && names.includes(markerName(each)));
  const isKnown = (name: string): boolean =>
    name === 'lost+found' ||
    entriesByRole[role].early?.test(name) === true ||
    here.some((each) => name === markerName(each) || isEntryOf(each, name));
  return names.filter((name) => !isKnown(name)).toSorted();
}
