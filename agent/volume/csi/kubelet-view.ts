import path from 'node:path';

/** Where every kubelet has its files, by the manifests of drivers. */
export const kubeletRoot = '/var/lib/kubelet';

/**
 * The node's own directory stands in for /var/lib/kubelet: a machine may have several nodes, or a kubelet beside (decision 0105). Pods get
 * it where they ask for that path of the host; a driver whose socket is below that path is told of places in the same words.
 */
export interface KubeletView {
  /** What a path of the host is on this node. */
  inside(hostPath: string): string;
  /** What a path of this node is for whoever sees it at /var/lib/kubelet. */
  outside(ownPath: string): string;
}

export function kubeletView(directory: string): KubeletView {
  return {
    inside: (hostPath) => moved(hostPath, kubeletRoot, directory),
    outside: (ownPath) => moved(ownPath, directory, kubeletRoot),
  };
}

/** Whether it is there or below. */
export function isBelow(one: string, root: string): boolean {
  const clean = path.posix.normalize(one);
  return clean === root || clean.startsWith(`${root}/`);
}

function moved(one: string, from: string, to: string): string {
  const clean = path.posix.normalize(one).replace(/(.)\/$/, '$1');
  return isBelow(clean, from) ? `${to}${clean.slice(from.length)}` : one;
}
