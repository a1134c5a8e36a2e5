import { readFile } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { isObject } from '#api/wire/json.ts';
import type { AskPath } from '#client/http-transport.ts';

/** What a server says of the namespace kube-system, whose uid is a cluster's identity: it is made once, with the cluster. */
export type ClusterAnswer =
  | { readonly kind: 'uid'; readonly uid: string }
  /** Not there yet: a server that has just been given an empty store. */
  | { readonly kind: 'none' }
  /** A server that lets nodes read no namespaces. */
  | { readonly kind: 'untold' }
  | { readonly kind: 'later' };

export type ClusterVerdict = 'first contact' | 'same' | 'foreign' | 'unknown' | 'wait';

/** Whether a node that belongs to the cluster `kept` may act on what this server says. Pure. */
export function judgeCluster(kept: string | undefined, answer: ClusterAnswer): ClusterVerdict {
  switch (answer.kind) {
    case 'uid':
      if (kept === undefined) return 'first contact';
      return kept === answer.uid ? 'same' : 'foreign';
    case 'untold':
      return 'unknown';
    case 'none':
    case 'later':
      return 'wait';
  }
}

export interface ClusterGuard {
  /** Why the node does nothing, or undefined. */
  readonly problem: string | undefined;
  /**
   * Resolves when the connection may be used: its server is of the cluster that this node belongs to. Nothing else has been asked
   * on it, so no list of another cluster's, and no empty one, is ever taken for the truth. Waits for as long as it is not.
   * @throws E_CONNECTION when the connection breaks
   */
  readonly admit: (ask: AskPath) => Promise<void>;
}

export interface ClusterGuardOptions {
  /** Keeps the uid; made at first contact. */
  readonly file: string;
  readonly server: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const askAgainMs = 250;
const foreignAskMs = 2000;

export function createClusterGuard({ file, server, clock, logger }: ClusterGuardOptions): ClusterGuard {
  let problem: string | undefined;
  let isUnknownTold = false;
  const noProblem = (): void => {
    if (problem !== undefined)
      logger.info({ server }, "the server is of this node's cluster; the node goes on");
    problem = undefined;
  };
  const refuse = (text: string): void => {
    if (problem !== text) logger.error({ server }, text);
    problem = text;
  };
  /** One step; whether it is decided in favour. */
  const examine = async (ask: AskPath): Promise<boolean> => {
    const answer = await readAnswer(ask);
    const kept = await readKept(file, logger);
    switch (judgeCluster(kept, answer)) {
      case 'first contact':
        if (answer.kind === 'uid') await keep(file, answer.uid);
        noProblem();
        return true;
      case 'same':
        noProblem();
        return true;
      case 'unknown':
        if (!isUnknownTold)
          logger.warn({ server }, 'the server does not tell its identity to nodes; it is not checked');
        isUnknownTold = true;
        return true;
      case 'foreign':
        refuse(
          `use ${server}: it is another cluster (kube-system ${answer.kind === 'uid' ? answer.uid : ''}) than the one that this node belongs to (${kept}); its pods go on untouched. Put back the server's data; or remove ${file} to give the node to this cluster, which ends the pods`,
        );
        await clock.sleep(foreignAskMs);
        return false;
      case 'wait':
        if (answer.kind === 'none' && kept !== undefined) {
          refuse(
            `use ${server}: it has no namespace kube-system, as an empty cluster; this node's pods go on untouched`,
          );
        }
        await clock.sleep(askAgainMs);
        return false;
    }
  };
  return {
    get problem() {
      return problem;
    },
    admit: async (ask) => {
      while (!(await examine(ask))) continue;
    },
  };
}

async function readAnswer(ask: AskPath): Promise<ClusterAnswer> {
  const { status, body } = await ask('/api/v1/namespaces/kube-system');
  if (status === 404) return { kind: 'none' };
  if (status === 401 || status === 403) return { kind: 'untold' };
  if (status !== 200) return { kind: 'later' };
  const found: unknown = JSON.parse(body);
  const metadata = isObject(found) ? found['metadata'] : undefined;
  const uid = isObject(metadata) ? metadata['uid'] : undefined;
  return typeof uid === 'string' && uid !== '' ? { kind: 'uid', uid } : { kind: 'untold' };
}

/** A file that is not as `keep` writes it is as none: it was never cut, so somebody else wrote it. */
async function readKept(file: string, logger: Logger): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const uid = /^\{"kubeSystemUid":"([0-9A-Za-z-]{1,253})"\}\n$/.exec(text)?.[1];
  if (uid === undefined)
    logger.warn({ file }, "the file with the cluster's identity is damaged; it is written anew");
  return uid;
}

async function keep(file: string, kubeSystemUid: string): Promise<void> {
  await writeDurably(file, `${JSON.stringify({ kubeSystemUid })}\n`);
}
