"""The operator pages. A GET changes nothing; every button is a POST that redirects back to its page."""

from coinwatch.web.pages.operator import access, dag_tab, emails, overview, pipeline, sign_in

OPERATOR = (sign_in, overview, pipeline, emails, access, dag_tab)
