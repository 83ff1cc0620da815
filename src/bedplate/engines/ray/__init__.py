"""Ray as a transport of `engines/remote`; the only place that imports ray.

Ray carries membership of machines, placement groups (all of a gang or none), labels and the death of nodes. What happens
on one machine is the local engine's, inside one agent actor a node.
"""
