// The Deployment of one revision, as it is planned.

export interface ChildPlan {
  revision: number;
  replicas: number;
  /** A mark in the pod template; where it changes, the pods are replaced one by one. */
  fresh: string;
  /** It may grow only when the Service is known to be as planned: while that selects every pod, these would get traffic. */
  afterService?: boolean;
}
