import { connect, type Client } from '#client/access/connect.ts';
import type { Logger } from '#base/log.ts';
import { PodwrightError } from '#base/errors.ts';
import { startApi } from './start-api.ts';
import { startNodes } from './start-nodes.ts';

export interface ClusterOptions {
  /**
   * Nodes that run pods, in namespaces of their own on this machine; needs root. Default 0: API server, controllers and scheduler in this
   * process, where pods stay Pending.
   */
  readonly nodes?: number | undefined;
  /** Whether garbage collector, namespaces' deletion, workloads and the like run where there are no nodes. Default yes. */
  readonly controllers?: boolean | undefined;
  /** Told what the server logs, where it runs in this process. Default: nobody. */
  readonly logger?: Logger | undefined;
}

export interface TestCluster extends AsyncDisposable {
  /** Of its administrator; ends with the cluster. */
  readonly client: Client;
  /** `https://127.0.0.1:PORT` */
  readonly server: string;
  /** The administrator's kubeconfig, and a file of it for other programs. */
  readonly kubeconfig: string;
  readonly kubeconfigPath: string;
}

/**
 * Starts a cluster of its own: a real API, in memory, on a port of 127.0.0.1 that nobody else has. As many side by side as there is memory
 * for. It ends when it is disposed, or with this process, and leaves nothing.
 * @throws {E_PERMISSION} for nodes without root; E_INVALID
 */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const { nodes = 0 } = options;
  if (!Number.isInteger(nodes) || nodes < 0 || nodes > 64)
    throw new PodwrightError('E_INVALID', `start a cluster: nodes ${nodes} is none of 0 to 64`);
  await using undo = new AsyncDisposableStack();

  const running = undo.use(nodes === 0 ? await startApi(options) : await startNodes(nodes));
  const { kubeconfig, kubeconfigPath } = running;
  const client = undo.use(connect({ kubeconfigText: kubeconfig, userAgent: 'podwright-test' }));
  const owned = undo.move();
  return {
    client,
    server: client.server,
    kubeconfig,
    kubeconfigPath,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
