import pytest
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

def test_smoke(reranker, requests, trained, space, tmp_path):
    import time
    import mlflow
    from degre_pipeline.serving.packaging import log_reranker
    from degre_pipeline.serving.signature import as_record
    print(reranker.rerank(requests))
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/m.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("e", artifact_location=(tmp_path/"a").as_uri()))
    with mlflow.start_run():
        t=time.time()
        i = log_reranker(trained, space, requests, name="reranker", metadata={"run_date": "2026-01-31"})
        print("log", time.time()-t)
    t=time.time(); m = mlflow.pyfunc.load_model(i.model_uri); print("load", time.time()-t)
    print(m.metadata.signature)
    print(m.predict([as_record(r) for r in requests]).to_string())
    big=[as_record(requests[0]) for _ in range(200)]
    t=time.time(); m.predict(big); print("predict 200", time.time()-t)
    t=time.time(); reranker.rerank([requests[0]]*200); print("direct 200", time.time()-t)
    from mlflow.pyfunc import scoring_server as s
    import json
    recs=[as_record(r) for r in requests]
    for body in ({"inputs":recs},{"dataframe_records":recs},{"dataframe_split":{"columns":list(recs[0]),"data":[list(r.values()) for r in recs]}}):
        try: print(s.invocations(json.dumps(body),"application/json",m,m.metadata.get_input_schema()))
        except Exception as e: print("ERR",type(e),str(e)[:600])
    import os
    for d,_,fs in os.walk(tmp_path/"a"):
        for f in fs: print(os.path.relpath(os.path.join(d,f),tmp_path))
    for f in ("MLmodel","serving_input_example.json","requirements.txt", "input_example.json"):
        p=next((tmp_path/"a").rglob(f)); print(f, p.read_text()[:3500])
