import { gitVersion } from '#api/release.ts';
import { createApiClient } from '#client/api-client.ts';
import type { ApiClient } from '#client/client.ts';
import type { Transport } from '#client/transport.ts';
import { authenticated, serviceAccount } from '#control-plane/apiserver/chain/authn/groups.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';

/** As whom the parts of a server's process ask it. What each may its roles say (rbac/bootstrap-policy.ts), as of anybody else. */
export interface OwnClients {
  /** Reads for scheduler and controllers, and holds the lease by which they have their turn. */
  readonly controllerManager: ApiClient;
  readonly scheduler: ApiClient;
  /** A controller, as its service account of kube-system: no such object need be there, as it has no token. */
  controller(account: string): ApiClient;
  /** A part of podwright that Kubernetes has no name for. */
  own(part: 'pod-routes' | 'kube-dns' | 'local-volumes' | 'virtual-address'): ApiClient;
}

const managerName = 'kube-controller-manager';

/**
 * Clients of the server of this process. The transport says who calls: there is nothing to prove, and all to be allowed.
 * @param managersOf what the transports of controllers are made of, where somebody counts what these ask
 */
export function createOwnClients(
  { transport }: { transport(user: User): Transport },
  managersOf: (transport: Transport) => Transport = (own) => own,
): OwnClients {
  const clientOf = (program: string, user: User): ApiClient =>
    createApiClient({
      transport: program === managerName ? managersOf(transport(user)) : transport(user),
      // The first word is what managedFields call the manager.
      userAgent: `${program}/${gitVersion} (linux/${process.arch}) ${user.name}`,
    });
  const named = (name: string): User => ({ name, groups: [authenticated] });
  return {
    controllerManager: clientOf(managerName, named('system:kube-controller-manager')),
    scheduler: clientOf('kube-scheduler', named('system:kube-scheduler')),
    controller: (account) => clientOf(managerName, serviceAccount('kube-system', account)),
    own: (part) => clientOf('podwright', named(`system:podwright:${part}`)),
  };
}
