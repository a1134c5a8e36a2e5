import type { CertificateSigningRequest } from '#api/generated/objects.ts';
import {
  certificateSigningRequests,
  endpointSlices,
  nodes,
  services,
  subjectAccessReviews,
} from '#api/schema/kind-ref.ts';
import type { ApiClient } from '#client/client.ts';
import { onlySynced, ownKey, runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { readRequest, type ReadRequest } from './node-request.ts';
import { isSettled, planApproval, planProxyApproval, type Recognized } from './plan.ts';
import { nodeOfServing, planServing, type Places } from './serving.ts';

const reason = 'AutoApproved';
const servers = 'default/kubernetes';

/** Approves what nodes ask for as clients, where a review says that who asks may have it (csrapproving). */
export function runCsrApproving(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const requests = informers.for(certificateSigningRequests);
  return runController({
    name: 'certificatesigningrequest-approving-controller',
    clock,
    logger,
    sources: [ownKey(requests)],
    reconcile: async (name) => {
      const csr = requests.get(name);
      if (csr === undefined) return undefined;
      const asked = planApproval(csr);
      for (const one of asked) {
        if (!(await isAllowed(client, csr, one))) continue;
        requests.observe(await approve(client, csr, one.message));
        return undefined;
      }
      // The right may come later: a binding that is made does not touch the request.
      return asked.length === 0 ? undefined : { kind: 'again', afterMs: askAgainMs };
    },
  });
}

/** Upstream asks again with a growing delay, to at most 1000 s. */
const askAgainMs = 30_000;

/**
 * Approves what nodes ask for to show, where it is all theirs (decision 0027), and what their proxies show, where a review says so (0028).
 * Upstream approves neither, so that its certificate-controller has no right to.
 */
export function runNodeCertificateApproving(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const requests = informers.for(certificateSigningRequests);
  const nodeInformer = informers.for(nodes);
  const serviceInformer = informers.for(services);
  const sliceInformer = informers.for(endpointSlices);
  const placesOf = (name: string): Places => ({
    node: nodeInformer.get(name),
    ofOthers: new Set(
      nodeInformer
        .list()
        .filter(({ metadata }) => metadata?.name !== name)
        .flatMap(({ status }) => (status?.addresses ?? []).map(({ address }) => address)),
    ),
    ofServers: new Set([
      ...(serviceInformer.get(servers)?.spec?.clusterIPs ?? []),
      ...(sliceInformer.get(servers)?.endpoints ?? []).flatMap(({ addresses }) => addresses),
    ]),
  });
  const pendingOf = (nodeName: string): readonly string[] =>
    requests.list().flatMap((csr) => {
      const request = pending(csr);
      const isOf = request !== undefined && nodeOfServing(request) === nodeName;
      return isOf ? [csr.metadata?.name ?? ''] : [];
    });
  return runController({
    name: 'node-certificate-approving-controller',
    clock,
    logger,
    sources: [
      ownKey(requests),
      // A node asks before all its addresses are known.
      source(nodeInformer, ({ key }) => pendingOf(key)),
      onlySynced(serviceInformer),
      onlySynced(sliceInformer),
    ],
    reconcile: async (name) => {
      const csr = requests.get(name);
      const request = csr === undefined ? undefined : pending(csr);
      if (csr === undefined || request === undefined) return undefined;
      const proxy = planProxyApproval(csr);
      if (proxy !== undefined) {
        if (!(await isAllowed(client, csr, proxy))) return { kind: 'again', afterMs: askAgainMs };
        requests.observe(await approve(client, csr, proxy.message));
      }
      const node = nodeOfServing(request);
      if (node === undefined) return undefined;
      const plan = planServing(request, placesOf(node));
      if (plan.kind === 'leave') logger.info({ request: name, why: plan.why }, 'not approved by itself');
      if (plan.kind !== 'approve') return undefined;
      const message =
        'Auto approving serving certificate of a node whose names and addresses are those of its Node.';
      requests.observe(await approve(client, csr, message));
      return undefined;
    },
  });
}

function pending(csr: CertificateSigningRequest): ReadRequest | undefined {
  return isSettled(csr) ? undefined : readRequest(csr);
}

async function isAllowed(
  client: ApiClient,
  { spec }: CertificateSigningRequest,
  { subresource }: Recognized,
): Promise<boolean> {
  const review = await client.create(subjectAccessReviews, {
    spec: {
      user: spec.username,
      uid: spec.uid,
      groups: spec.groups,
      extra: spec.extra,
      resourceAttributes: {
        group: 'certificates.k8s.io',
        resource: 'certificatesigningrequests',
        verb: 'create',
        subresource,
        version: '*',
      },
    },
  });
  return review.status?.allowed === true;
}

/** The server dates the condition. */
function approve(
  client: ApiClient,
  csr: CertificateSigningRequest,
  message: string,
): Promise<CertificateSigningRequest> {
  const condition = { type: 'Approved', status: 'True', reason, message };
  const conditions = [...(csr.status?.conditions ?? []), condition];
  const options = { subresource: 'approval' };
  return client.update(
    certificateSigningRequests,
    { ...csr, status: { ...csr.status, conditions } },
    options,
  );
}
