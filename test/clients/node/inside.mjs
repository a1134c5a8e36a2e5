/** Runs in a pod: the API as a pod finds it. The lane runs a copy that lies beside client-node. */
import * as k8s from '@kubernetes/client-node';

const config = new k8s.KubeConfig();
config.loadFromCluster();
const namespace = config.getContextObject(config.getCurrentContext()).namespace;
const { status } = await config.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({ body: {} });
const { items } = await config.makeApiClient(k8s.CoreV1Api).listNamespacedPod({ namespace });
const own = items.find(({ metadata }) => metadata.name === process.env['HOSTNAME']);
console.log(`${status.userInfo.username} sees ${own?.metadata.name}`);
