BEGIN TRANSACTION;
CREATE TABLE events (
	number INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	step VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	at_s FLOAT NOT NULL, 
	severity VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	message TEXT NOT NULL, 
	attributes JSON NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "events" VALUES(1,'before-f1f4d745','write','step.started',1.79559792674462342259e+09,'info','runner','','{}');
INSERT INTO "events" VALUES(2,'before-f1f4d745','write','step.done',1.79559792674723982808e+09,'info','runner','0.001 s','{}');
INSERT INTO "events" VALUES(3,'before-f1f4d745','gang','step.started',1.79559792674773979186e+09,'info','runner','','{}');
INSERT INTO "events" VALUES(4,'before-f1f4d745','gang','task.started',1.79559792678293585772e+09,'info','engine','gang-1 rank 0 pid=22940 node=host cores=[0]','{"gang": "gang-1", "rank": 0, "pid": 22940, "node": "host", "cores": [0]}');
INSERT INTO "events" VALUES(5,'before-f1f4d745','gang','task.exited',1795597926.84513,'info','engine','gang-1 rank 0 exit_code=0 cause=finished','{"gang": "gang-1", "rank": 0, "exit_code": 0, "cause": "finished", "message": ""}');
INSERT INTO "events" VALUES(6,'before-f1f4d745','gang','step.done',1.7955979268504934311e+09,'info','runner','0.101 s','{}');
INSERT INTO "events" VALUES(7,'before-f1f4d745','last','step.started',1.79559792685110092159e+09,'info','runner','','{}');
INSERT INTO "events" VALUES(8,'before-f1f4d745','last','step.failed',1.7955979268517751694e+09,'error','runner','the answer is no; seen: 42; expected: 43','{}');
INSERT INTO "events" VALUES(9,'finished-b2dd2717','write','step.started',1.79559792686809349066e+09,'info','runner','','{}');
INSERT INTO "events" VALUES(10,'finished-b2dd2717','write','step.done',1.79559792687147259711e+09,'info','runner','0.001 s','{}');
INSERT INTO "events" VALUES(11,'finished-b2dd2717','write','preflight.slot-excluded',1.5,'warning','operations.preflight','slot 1','{}');
CREATE TABLE exclusions (
	number INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	step VARCHAR NOT NULL, 
	node_id VARCHAR NOT NULL, 
	cores JSON NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (number), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "exclusions" VALUES(1,'finished-b2dd2717','write','n','[3]','slow');
CREATE TABLE gangs (
	number INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	step VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	num_tasks INTEGER NOT NULL, 
	PRIMARY KEY (number), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "gangs" VALUES(1,'before-f1f4d745','gang',1,'gang-1',1);
CREATE TABLE measurements (
	run_id VARCHAR NOT NULL, 
	step VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	value FLOAT, 
	document JSON NOT NULL, 
	PRIMARY KEY (run_id, step, position), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "measurements" VALUES('before-f1f4d745','write',0,'text_bytes',3.0,'{"id": "text_bytes", "value": 3.0, "unit": "bytes", "provenance": "measured", "hardware": "", "scale": "", "source": "", "at_s": 1795597926.7453215}');
INSERT INTO "measurements" VALUES('before-f1f4d745','',0,'peak_memory_bytes',36158464.0,'{"id": "peak_memory_bytes", "value": 36158464.0, "unit": "bytes", "provenance": "measured", "hardware": "2 x AMD EPYC core", "scale": "sum of PSS over all processes of the run", "source": "runner", "at_s": 1795597926.8566606}');
INSERT INTO "measurements" VALUES('finished-b2dd2717','write',0,'text_bytes',1.0,'{"id": "text_bytes", "value": 1.0, "unit": "bytes", "provenance": "measured", "hardware": "", "scale": "", "source": "", "at_s": 1795597926.8687441}');
INSERT INTO "measurements" VALUES('finished-b2dd2717','',0,'peak_memory_bytes',36486144.0,'{"id": "peak_memory_bytes", "value": 36486144.0, "unit": "bytes", "provenance": "measured", "hardware": "2 x AMD EPYC core", "scale": "sum of PSS over all processes of the run", "source": "runner", "at_s": 1795597926.8749156}');
CREATE TABLE metrics (
	number INTEGER NOT NULL, 
	run_id VARCHAR NOT NULL, 
	step VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	at_s FLOAT NOT NULL, 
	value FLOAT, 
	labels JSON NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "metrics" VALUES(1,'finished-b2dd2717','write','train_loss',1.5,2.5,'{}');
CREATE TABLE runs (
	id VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	generation INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	file VARCHAR NOT NULL, 
	document JSON NOT NULL, 
	engine VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	attempt INTEGER NOT NULL, 
	cancel_attempt INTEGER NOT NULL, 
	created_at_s FLOAT NOT NULL, 
	started_at_s FLOAT, 
	ended_at_s FLOAT, 
	error JSON, 
	PRIMARY KEY (id), 
	UNIQUE ("key", generation)
);
INSERT INTO "runs" VALUES('before-f1f4d745','f1f4d745e6ee324c72689cb8de21771e',1,'before','','{"version": 1, "name": "before", "steps": {"write": {"use": "test.write", "text": "a", "times": 3}, "gang": {"use": "test.gang", "size": 1, "after": ["write"]}, "last": {"use": "test.fail", "after": ["gang"]}}}','local','0.1.0','failed',1,0,1.79559792673744845386e+09,1.79559792674098968505e+09,1.79559792685718584061e+09,'{"code": "BP400", "error": "the answer is no", "seen": "42", "expected": "43", "next": null}');
INSERT INTO "runs" VALUES('finished-b2dd2717','b2dd2717ef6984ddecf38bf0bcdad292',1,'finished','','{"version": 1, "name": "finished", "steps": {"write": {"use": "test.write", "text": "b"}}}','local','0.1.0','done',1,0,1.79559792686186194422e+09,1.79559792686511254314e+09,1.79559792687547898292e+09,NULL);
CREATE TABLE schema (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema" VALUES(1);
CREATE TABLE steps (
	run_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	use VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	attempts INTEGER NOT NULL, 
	started_at_s FLOAT, 
	seconds FLOAT, 
	progress JSON, 
	error JSON, 
	result JSON, 
	PRIMARY KEY (run_id, name), 
	FOREIGN KEY(run_id) REFERENCES runs (id)
);
INSERT INTO "steps" VALUES('before-f1f4d745','write',0,'test.write','done',1,1.79559792674400973315e+09,6.77005999932589475065e-04,NULL,NULL,'{"path": "@FOLDER@/runs/before-f1f4d745/write/text.txt", "outputs": {"words": 2}, "measurements": [{"id": "text_bytes", "value": 3.0, "unit": "bytes", "provenance": "measured", "hardware": "", "scale": "", "source": "", "at_s": 0.0}], "figures": [{"id": "sizes", "title": "Sizes", "kind": "line", "x_label": "file", "y_label": "bytes", "series": [{"name": "size", "x": [1.0, 2.0], "y": [null, 2.0]}], "provenance": "measured", "marks": []}], "tables": [{"id": "t", "title": "T", "columns": ["a"], "rows": [[1.0], ["x"], [null]], "provenance": "measured"}]}');
INSERT INTO "steps" VALUES('before-f1f4d745','gang',1,'test.gang','done',1,1.7955979267473974228e+09,1.00851573999534593895e-01,NULL,NULL,'{"path": null, "outputs": {"cores": [[0]], "free": 2}, "measurements": [], "figures": [], "tables": []}');
INSERT INTO "steps" VALUES('before-f1f4d745','last',2,'test.fail','failed',1,1.79559792685069537169e+09,6.4968500009854324162e-04,NULL,'{"code": "BP400", "error": "the answer is no", "seen": "42", "expected": "43", "next": null}',NULL);
INSERT INTO "steps" VALUES('finished-b2dd2717','write',0,'test.write','done',1,1.79559792686752200127e+09,6.34953000371751841157e-04,NULL,NULL,'{"path": "@FOLDER@/runs/finished-b2dd2717/write/text.txt", "outputs": {"words": 2}, "measurements": [{"id": "text_bytes", "value": 1.0, "unit": "bytes", "provenance": "measured", "hardware": "", "scale": "", "source": "", "at_s": 0.0}], "figures": [{"id": "sizes", "title": "Sizes", "kind": "line", "x_label": "file", "y_label": "bytes", "series": [{"name": "size", "x": [1.0, 2.0], "y": [null, 2.0]}], "provenance": "measured", "marks": []}], "tables": [{"id": "t", "title": "T", "columns": ["a"], "rows": [[1.0], ["x"], [null]], "provenance": "measured"}]}');
CREATE INDEX events_of_run ON events (run_id, number);
CREATE INDEX metrics_of_run ON metrics (run_id, name, at_s);
COMMIT;
